// Package helm pins the version of helm, and the checksums of all that goes into it: see hack/tools.
package helm
