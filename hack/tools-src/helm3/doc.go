// Package helm3 pins the version of helm3, and the checksums of all that goes into it: see hack/tools.
package helm3
