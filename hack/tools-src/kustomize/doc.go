// Package kustomize pins the version of kustomize, and the checksums of all that goes into it: see hack/tools.
package kustomize
