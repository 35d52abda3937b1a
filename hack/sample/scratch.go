// The scratch folder: what outlives the process in it, and what happens when it is full.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

const (
	keptFault = "fault.json"
	filling   = "filling"
	orders    = "orders"
	// mostFilled bounds what a fault writes where nobody else does.
	mostFilled = 256 * mebibyte
)

// scratch is a folder that a service cannot do without; "" is none, and all is well.
type scratch struct{ folder string }

// check writes what a service would have to.
func (s *scratch) check() error {
	if s.folder == "" {
		return nil
	}
	return os.WriteFile(filepath.Join(s.folder, orders), make([]byte, pageSize), 0o600)
}

// fill writes until there is no room.
func (s *scratch) fill() error {
	if s.folder == "" {
		return errors.New("there is no scratch folder to fill: see -scratch")
	}
	os.Remove(filepath.Join(s.folder, orders))
	file, err := os.Create(filepath.Join(s.folder, filling))
	if err != nil {
		return err
	}
	defer file.Close()
	block := make([]byte, pageSize)
	for written := 0; written < mostFilled; written += len(block) {
		if _, err := file.Write(block); errors.Is(err, syscall.ENOSPC) {
			return nil
		} else if err != nil {
			return err
		}
	}
	return fmt.Errorf("the scratch folder has room for more than %d MiB", mostFilled/mebibyte)
}

// keep leaves a fault behind for the processes to come.
func (s *scratch) keep(wanted *fault) error {
	if s.folder == "" {
		return errors.New("there is no scratch folder to keep it in: see -scratch")
	}
	body, err := json.Marshal(wanted)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.folder, keptFault), body, 0o600)
}

// kept gives the fault that was left behind, or nil.
func (s *scratch) kept() (*fault, error) {
	if s.folder == "" {
		return nil, nil
	}
	body, err := os.ReadFile(filepath.Join(s.folder, keptFault))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	return parseFault(bytes.NewReader(body))
}

// clear takes away what faults put there.
func (s *scratch) clear() {
	if s.folder != "" {
		os.Remove(filepath.Join(s.folder, keptFault))
		os.Remove(filepath.Join(s.folder, filling))
	}
}
