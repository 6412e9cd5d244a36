// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

func isProtobuf(answer *http.Response) bool {
	return strings.HasPrefix(answer.Header.Get("Content-Type"), "application/vnd.kubernetes.protobuf")
}

// eventEnds finds where the events of a watch end: lines of JSON, or messages of protobuf behind
// their length in four bytes, most significant first.
type eventEnds struct {
	isProtobuf bool
	lengths    int    // bytes of the length that were seen
	left       uint32 // of the message, once all four were
}

// endsWith is told every byte of the stream in turn.
func (e *eventEnds) endsWith(c byte) bool {
	if !e.isProtobuf {
		return c == '\n'
	}
	if e.lengths < 4 {
		e.lengths++
		e.left = e.left<<8 | uint32(c)
	} else {
		e.left--
	}
	if e.lengths < 4 || e.left > 0 {
		return false
	}
	e.lengths = 0
	return true
}

// errorEvent is what such a watch says before it ends for that reason.
func (e *eventEnds) errorEvent(code int) []byte {
	if !e.isProtobuf {
		return fmt.Appendf(nil, "{\"type\":\"ERROR\",\"object\":%s}\n", statusBody(code))
	}
	event := slices.Concat(field(1, []byte("ERROR")), field(2, field(1, protobufStatus(code))))
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(event))), event...)
}

// protobufStatus is a metav1.Status in a runtime.Unknown, behind the magic bytes.
func protobufStatus(code int) []byte {
	kind := slices.Concat(field(1, []byte("v1")), field(2, []byte("Status")))
	status := slices.Concat(field(2, []byte("Failure")), field(3, []byte(madeHere(code))),
		field(4, []byte(reasons[code])), binary.AppendUvarint([]byte{6 << 3}, uint64(code)))
	return slices.Concat([]byte("k8s\x00"), field(1, kind), field(2, status))
}

// field is one of protobuf's, of the wire type 2, with a number below 16.
func field(number byte, content []byte) []byte {
	return slices.Concat(binary.AppendUvarint([]byte{number<<3 | 2}, uint64(len(content))), content)
}
