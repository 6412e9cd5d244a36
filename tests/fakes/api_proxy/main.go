// SPDX-License-Identifier: Apache-2.0
//
// api_proxy stands in front of a real kube-apiserver and makes bad weather: it delays, cuts
// answers at any byte, ends or freezes connections, and answers 410, 429 and 5xx itself. Towards
// its clients it speaks TLS with HTTP/2, as the API server does.
//
//	api_proxy -upstream https://127.0.0.1:6443 -ca ca.crt -cert admin.crt -key admin.key \
//	          -server-cert proxy.crt -server-key proxy.key
//
// prints {"address":"127.0.0.1:PORT","control":"127.0.0.1:PORT"} and serves until its standard
// input ends; with -forever until it is killed. -listen and -control choose the addresses. A request with a token goes on with that token alone, any other with the given
// certificate. Standard library only.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
)

func fail(err error) {
	if err != nil {
		log.Fatalf("api_proxy: %v", err)
	}
}

// transports: with the certificate, and for requests that bring a token.
func transports(ca, cert, key string) (*http.Transport, *http.Transport) {
	pem, err := os.ReadFile(ca)
	fail(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	pair, err := tls.LoadX509KeyPair(cert, key)
	fail(err)
	plain := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: roots}}
	own := &http.Transport{ForceAttemptHTTP2: true,
		TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}}
	return own, plain
}

func main() {
	upstream := flag.String("upstream", "", "URL of the API server")
	ca := flag.String("ca", "", "its authority")
	cert := flag.String("cert", "", "our certificate for it")
	key := flag.String("key", "", "and key")
	serverCert := flag.String("server-cert", "", "certificate shown to clients")
	serverKey := flag.String("server-key", "", "and key")
	listen := flag.String("listen", "127.0.0.1:0", "address for clients")
	controlAt := flag.String("control", "127.0.0.1:0", "address for who makes the weather")
	forever := flag.Bool("forever", false, "do not look at standard input")
	flag.Parse()
	log.SetFlags(log.Lmicroseconds)

	target, err := url.Parse(*upstream)
	fail(err)
	own, plain := transports(*ca, *cert, *key)
	weather := newWeather()
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.Header.Get("Authorization") != "" {
				return plain.RoundTrip(r)
			}
			return own.RoundTrip(r)
		}),
		FlushInterval:  -1,
		ModifyResponse: weather.spoil,
		ErrorLog:       log.New(io.Discard, "", 0),
	}

	pair, err := tls.LoadX509KeyPair(*serverCert, *serverKey)
	fail(err)
	listener, err := net.Listen("tcp", *listen)
	fail(err)
	control, err := net.Listen("tcp", *controlAt)
	fail(err)
	server := &http.Server{
		Handler:     weather.handle(proxy),
		ConnContext: weather.remember,
		ErrorLog:    log.New(io.Discard, "", 0),
		TLSConfig:   &tls.Config{Certificates: []tls.Certificate{pair}},
	}
	go func() { fail(server.ServeTLS(weatherListener{listener, weather}, "", "")) }()
	go func() { fail(http.Serve(control, weather.control())) }()
	line, _ := json.Marshal(map[string]string{"address": listener.Addr().String(),
		"control": control.Addr().String()})
	fmt.Println(string(line))
	if *forever {
		select {}
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
