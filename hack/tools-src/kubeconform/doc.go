// Package kubeconform pins the version of kubeconform, and the checksums of all that goes into it: see hack/tools.
package kubeconform
