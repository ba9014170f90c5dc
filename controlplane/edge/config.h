// The HAProxy configuration, complete, from a few values. It never changes while tenants come and go: requests are
// routed by two map files that EdgeMap keeps. HAProxy is started as the user that it stays, and needs no right but to
// bind: the text names no user, group or chroot. Its runtime API is at level "operator", which suffices for maps:
// neither memory nor servers nor sessions can be had through it.
//
//   hosts.map   "<host> <number of slots>:<app>:<tenant>:<state>"   absent: 404; 0 slots: 503, `state` says why
//   slots.map   "<host>#<slot from 0> <ip>:<port>"                  a request draws a slot at random
//
// Where a connection to a slot fails, the request goes to the next slot at once: by HAProxy's own redispatch to a
// listener of its own (a socket beside the runtime API), which knows from the PROXY header which slot was tried and how
// many before.
//
// Limits, each with an answer that says whose it is (kHeadBytes, kAnswerSeconds, and the shares below): the head of a
// request or an answer, the time to an answer's first byte, what one source, app or tenant may have open. An answer
// that has begun may pause for an hour. HAProxy 2.6 has one time for both; so the first byte is waited for by
// `tcp-response inspect-delay`, and a line of Lua (haproxyLua) answers 504.
//
// From outside no header comes in that an app, or a framework in it, takes for a proxy's word.
//
// Threads and failures: pure functions.
#pragma once

#include <string>
#include <vector>

namespace cloister::edge {

// The largest head, in bytes, of a request and of an answer.
constexpr unsigned kHeadBytes = 32U << 10U;
// From the whole request to the first byte of the answer.
constexpr unsigned kAnswerSeconds = 60;
// A request of more than this, or of unknown length, is an upload: the same seconds count from the last byte moved, in
// either direction, because it may take longer than that to send. A smaller one is sent on when it is whole.
constexpr unsigned kUploadBytes = 64U << 10U;

// How many connections there are, and what one of a kind may have of them: nobody has enough to starve the others.
// HAProxy takes two descriptors for each.
struct Shares {
  unsigned all = 8'000;
  [[nodiscard]] unsigned app() const { return all / 8; }         // requests in flight
  [[nodiscard]] unsigned tenant() const { return all / 4; }      // likewise
  [[nodiscard]] unsigned source() const { return all / 8 * 3; }  // connections of an IPv4 address, or of an IPv6 /64
};

struct ConfigOptions {
  std::string mapDirectory;                      // $STATE/edge
  std::vector<std::string> bind{"*:8080"};       // plain HTTP; an IPv6 one is for IPv6 alone
  std::string runtimeSocket;                     // $RUN/edge/haproxy.sock
  std::string luaFile;                           // haproxyLua()'s text
  std::string statsBind;                         // "127.0.0.1:8404": Prometheus' exporter; empty: none
  std::string instanceNetwork = "10.128.0.0/9";  // where destinations must lie
  Shares connections;
  unsigned answerSeconds = kAnswerSeconds;
};

[[nodiscard]] std::string haproxyConfig(const ConfigOptions& options);
[[nodiscard]] std::string haproxyLua(unsigned answerSeconds = kAnswerSeconds);

// Names of headers, as one regular expression of lower-case letters, that strangers must not send: apps behind a proxy
// believe them. A separator is any character but a letter or digit, since gateways make all of them `_`.
[[nodiscard]] std::string forgeableHeaders();

}  // namespace cloister::edge
