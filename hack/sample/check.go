// What a fault must look like. A wrong one is refused with a message that says what would be right.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"sort"
	"strings"
)

const requestLimit = 64 << 10

func parseFault(body io.Reader) (*fault, error) {
	data, err := io.ReadAll(io.LimitReader(body, requestLimit))
	if err != nil {
		return nil, err
	}
	wanted := &fault{}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(wanted); err != nil {
		return nil, fmt.Errorf("not a fault: %w", err)
	}
	if err := checkFields(wanted.Kind, data); err != nil {
		return nil, err
	}
	return wanted, wanted.checkValues()
}

func checkFields(kind string, data []byte) error {
	allowed, known := fields[kind]
	if !known {
		return fmt.Errorf("kind %q: use one of %s", kind, strings.Join(kinds(), ", "))
	}
	var given map[string]json.RawMessage
	if err := json.Unmarshal(data, &given); err != nil {
		return fmt.Errorf("not a fault: %w", err)
	}
	for name := range given {
		if name != "kind" && name != "duration" && !contains(allowed, name) {
			return fmt.Errorf("kind %q has no %q", kind, name)
		}
	}
	return nil
}

func contains(names, name string) bool {
	for _, one := range strings.Fields(names) {
		if strings.EqualFold(one, name) {
			return true
		}
	}
	return false
}

func kinds() []string {
	var all []string
	for kind := range fields {
		all = append(all, kind)
	}
	sort.Strings(all)
	return all
}

func (f *fault) checkValues() error {
	switch {
	case f.Percent != nil && (*f.Percent < 0 || *f.Percent > 100):
		return fmt.Errorf("percent %v is not between 0 and 100", *f.Percent)
	case f.Status != 0 && (f.Status < 400 || f.Status > 599):
		return fmt.Errorf("status %d is no error: use 400 to 599", f.Status)
	case f.Path != "" && !isUserPath(f.Path):
		return fmt.Errorf("path %q: use one of %s", f.Path, strings.Join(userPaths, ", "))
	case f.Path != "" && f.All:
		return fmt.Errorf("path limits the fault, all widens it: use one of them")
	case f.Kind == kindSlow && f.Delay == 0:
		return fmt.Errorf("slow needs a delay such as \"2s\"")
	case f.Rate < 0:
		return fmt.Errorf("rate %d is negative", f.Rate)
	case f.ExitCode != nil && (*f.ExitCode < 0 || *f.ExitCode > 255):
		return fmt.Errorf("exitCode %d is not between 0 and 255", *f.ExitCode)
	}
	return f.checkHog()
}

func (f *fault) checkHog() error {
	switch {
	case f.Kind != kindHog:
		return nil
	case f.Address == "":
		return fmt.Errorf("hog needs an address such as \"db:80\"")
	case f.Count < 1 || f.Count > mostHogged:
		return fmt.Errorf("hog needs a count between 1 and %d", mostHogged)
	}
	return nil
}
