// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"sync"
	"time"
)

// Faults are chances between 0 and 1 for each request, or each connection, and sizes of what
// happens then. The JSON of POST /faults; what is left out is 0.
type Faults struct {
	Seed uint64 `json:"seed"`

	// Requests of which "METHOD /path?query" has no match suffer nothing; "": all may. A regular
	// expression. Faults of connections are not asked.
	Only string `json:"only"`

	// Before the request goes on.
	Delay   float64 `json:"delay"`
	DelayMs int     `json:"delay_ms"` // up to
	Drop    float64 `json:"drop"`     // the connection ends without an answer
	Answer  float64 `json:"answer"`   // with one of:
	Codes   []int   `json:"codes"`

	// The request was executed, and its answer suffers.
	Cut      float64 `json:"cut"`       // ends after up to cut_bytes, by a reset of its stream
	CutBytes int     `json:"cut_bytes"` //
	Expire   float64 `json:"expire"`    // a watch gets an ERROR event 410 after up to cut_bytes
	Lose     float64 `json:"lose"`      // of a write: executed, but the connection ends

	// Of a connection: it ends, or freezes, after up to conn_bytes sent to the client.
	ConnEnd    float64 `json:"conn_end"`
	ConnFreeze float64 `json:"conn_freeze"`
	ConnBytes  int     `json:"conn_bytes"`
}

// weather decides for each request and connection, by one seeded sequence.
type weather struct {
	mutex  sync.Mutex
	faults Faults
	only   *regexp.Regexp
	random *rand.Rand
	conns  map[*conn]bool
	counts map[string]int
}

func newWeather() *weather {
	return &weather{random: rand.New(rand.NewPCG(0, 0)), conns: map[*conn]bool{},
		counts: map[string]int{}}
}

// happens draws for one kind of fault, and counts it.
func (w *weather) happens(name string, chance func(*Faults) float64) bool {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if w.random.Float64() >= chance(&w.faults) {
		return false
	}
	w.counts[name]++
	return true
}

func (w *weather) count(name string) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.counts[name]++
}

func (w *weather) upTo(most func(*Faults) int) int {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if n := most(&w.faults); n > 0 {
		return w.random.IntN(n + 1)
	}
	return 0
}

func (w *weather) settings() Faults {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return w.faults
}

// control: POST /faults sets them, POST /drop ends all connections, GET /counts tells what was done.
func (w *weather) control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /faults", func(out http.ResponseWriter, r *http.Request) {
		var faults Faults
		decoder := json.NewDecoder(r.Body)
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&faults); err != nil {
			http.Error(out, err.Error(), http.StatusBadRequest)
			return
		}
		only, err := regexp.Compile(faults.Only)
		if err != nil {
			http.Error(out, err.Error(), http.StatusBadRequest)
			return
		}
		w.mutex.Lock()
		defer w.mutex.Unlock()
		w.faults = faults
		w.only = only
		w.random = rand.New(rand.NewPCG(faults.Seed, 0))
	})
	mux.HandleFunc("POST /drop", func(http.ResponseWriter, *http.Request) {
		w.count("all dropped")
		w.mutex.Lock()
		defer w.mutex.Unlock()
		for c := range w.conns {
			c.Conn.Close()
		}
	})
	mux.HandleFunc("GET /counts", func(out http.ResponseWriter, _ *http.Request) {
		w.mutex.Lock()
		defer w.mutex.Unlock()
		_ = json.NewEncoder(out).Encode(w.counts)
	})
	return mux
}

type connKey struct{}

func (w *weather) remember(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

func endConnection(r *http.Request) {
	r.Context().Value(connKey{}).(net.Conn).Close()
	panic(http.ErrAbortHandler)
}

var reasons = map[int]string{409: "Conflict", 410: "Expired", 429: "TooManyRequests", 500: "InternalError",
	503: "ServiceUnavailable", 504: "Timeout"}

func statusBody(code int) []byte {
	body, _ := json.Marshal(map[string]any{"kind": "Status", "apiVersion": "v1",
		"status": "Failure", "message": madeHere(code), "reason": reasons[code], "code": code})
	return body
}

func madeHere(code int) string { return fmt.Sprintf("api_proxy made this %d", code) }

// meant says whether the faults of requests are for this one.
func (w *weather) meant(r *http.Request) bool {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return w.only == nil || w.only.MatchString(r.Method+" "+r.URL.RequestURI())
}

func isWatch(r *http.Request) bool { return r.URL.Query().Get("watch") != "" }

func (w *weather) handle(next http.Handler) http.Handler {
	return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		w.count(r.Proto)
		if !w.meant(r) {
			next.ServeHTTP(out, r)
			return
		}
		if w.happens("delay", func(f *Faults) float64 { return f.Delay }) {
			time.Sleep(time.Duration(w.upTo(func(f *Faults) int { return f.DelayMs })) *
				time.Millisecond)
		}
		if w.happens("drop", func(f *Faults) float64 { return f.Drop }) {
			endConnection(r)
		}
		codes := w.settings().Codes
		if len(codes) > 0 && w.happens("answer", func(f *Faults) float64 { return f.Answer }) {
			code := codes[w.upTo(func(f *Faults) int { return len(f.Codes) - 1 })]
			out.Header().Set("Content-Type", "application/json")
			if code == 429 || code == 503 {
				out.Header().Set("Retry-After", strconv.Itoa(w.upTo(func(*Faults) int { return 1 })))
			}
			out.WriteHeader(code)
			_, _ = out.Write(statusBody(code))
			return
		}
		next.ServeHTTP(out, r)
	})
}

// spoil makes an answer of the API server worse.
func (w *weather) spoil(answer *http.Response) error {
	r := answer.Request
	if !w.meant(r) {
		return nil
	}
	write := r.Method != http.MethodGet
	if write && w.happens("lose", func(f *Faults) float64 { return f.Lose }) {
		endConnection(r)
	}
	left := w.upTo(func(f *Faults) int { return f.CutBytes })
	if w.happens("cut", func(f *Faults) float64 { return f.Cut }) {
		answer.Body = &cutBody{answer.Body, left}
	} else if isWatch(r) && answer.StatusCode == http.StatusOK &&
		w.happens("expire", func(f *Faults) float64 { return f.Expire }) {
		answer.Body = &expiringBody{ReadCloser: answer.Body, left: left,
			events: eventEnds{isProtobuf: isProtobuf(answer)}}
	}
	return nil
}

// cutBody breaks after `left` bytes: ReverseProxy then resets the client's stream.
type cutBody struct {
	io.ReadCloser
	left int
}

func (b *cutBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("cut")
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// expiringBody ends a watch by an ERROR event, after the first event that goes beyond `left` bytes:
// the API server, too, says nothing in the middle of one.
type expiringBody struct {
	io.ReadCloser
	left   int
	events eventEnds
	last   *bytes.Reader // the ERROR event, once it is its turn
}

func (b *expiringBody) Read(p []byte) (int, error) {
	if b.last != nil {
		return b.last.Read(p)
	}
	n, err := b.ReadCloser.Read(p)
	for i, c := range p[:n] {
		b.left--
		if b.events.endsWith(c) && b.left < 0 {
			b.last = bytes.NewReader(b.events.errorEvent(410))
			return i + 1, nil
		}
	}
	return n, err
}

// weatherListener gives each connection its fate, below TLS: bytes are those on the wire.
type weatherListener struct {
	net.Listener
	weather *weather
}

func (l weatherListener) Accept() (net.Conn, error) {
	raw, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	made := &conn{Conn: raw, weather: l.weather, left: -1, frozen: make(chan struct{})}
	w := l.weather
	bytesLeft := w.upTo(func(f *Faults) int { return f.ConnBytes })
	if w.happens("conn_end", func(f *Faults) float64 { return f.ConnEnd }) {
		made.left = bytesLeft
	} else if w.happens("conn_freeze", func(f *Faults) float64 { return f.ConnFreeze }) {
		made.left, made.freezes = bytesLeft, true
	}
	w.mutex.Lock()
	w.conns[made] = true
	w.mutex.Unlock()
	return made, nil
}

type conn struct {
	net.Conn
	weather *weather
	left    int // bytes to the client until it happens; -1: never
	freezes bool
	frozen  chan struct{} // closed when frozen
	once    sync.Once
}

func (c *conn) Write(p []byte) (int, error) {
	if c.left < 0 {
		return c.Conn.Write(p)
	}
	part := p[:min(len(p), c.left)]
	n, err := c.Conn.Write(part)
	c.left -= n
	if err != nil || n == len(p) {
		return n, err
	}
	if !c.freezes {
		c.Conn.Close()
		return n, net.ErrClosed
	}
	c.once.Do(func() { close(c.frozen) })
	return len(p), nil // swallowed: the client sees an open connection on which nothing comes
}

func (c *conn) Close() error {
	c.weather.mutex.Lock()
	delete(c.weather.conns, c)
	c.weather.mutex.Unlock()
	select {
	case <-c.frozen: // stays open for the client, as a vanished peer's would
		return nil
	default:
		return c.Conn.Close()
	}
}
