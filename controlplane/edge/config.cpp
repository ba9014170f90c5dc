#include "controlplane/edge/config.h"

#include <string_view>

namespace cloister::edge {
namespace {

// Of a buffer: a head that is read whole and then refused gets an answer that says why; HAProxy itself can only say
// "400".
constexpr unsigned kBufferBytes = 128U << 10U;

// Replaces every "@name@" of a text.
std::string filled(std::string text, std::string_view name, const std::string& value) {
  const std::string mark = "@" + std::string(name) + "@";
  for (auto at = text.find(mark); at != std::string::npos; at = text.find(mark, at + value.size())) {
    text.replace(at, mark.size(), value);
  }
  return text;
}

constexpr const char* kHead =
    R"haproxy(# Written by Cloister. Routes are not in here: they are in the map files, changed through the runtime API.
global
    log stdout format raw local0 notice
    maxconn @connections@
    # A host that gives fewer descriptors has fewer connections; it is not without an edge.
    no strict-limits
    tune.bufsize @buffer@
    tune.maxrewrite 4096
    tune.http.maxhdr 512
    lua-load @lua@
    stats socket @socket@ level operator mode 660
    stats timeout 30s
    hard-stop-after 60s

defaults
    mode http
    log global
    option httplog
    option log-separate-errors
    option dontlognull
    option http-keep-alive
    # Who leaves gives its place back at once, whatever it was waiting for; who vanishes, after two minutes.
    option abortonclose
    option clitcpka
    clitcpka-idle 60s
    clitcpka-intvl 15s
    clitcpka-cnt 4
    option srvtcpka
    srvtcpka-idle 60s
    srvtcpka-intvl 15s
    srvtcpka-cnt 4
    timeout http-request 10s
    timeout http-keep-alive 30s
    # Longer than a SYN that was lost takes to be sent again.
    timeout connect 1500ms
    timeout queue 5s
    timeout client 60s
    timeout client-fin 10s
    timeout server 1h
    timeout tunnel 1h
    http-error status 502 content-type text/plain string "502: the app closed the connection without an answer, or what it sent is none (the head of an answer may have @head@)\n"
    http-error status 503 content-type text/plain string "503: no instance of this app can be reached now; its owner sees why with: cloister ps\n"
    http-error status 504 content-type text/plain string "504: the app was silent for @answer@ s, the limit of this server\n"

# What each has at this moment. Nothing is allocated for who is not here.
backend sources
    stick-table type ipv6 size 200k expire 1m store conn_cur
backend apps_now
    stick-table type string len 40 size 100k expire 1m store conn_cur
backend tenants_now
    stick-table type string len 40 size 100k expire 1m store conn_cur

@stats@frontend apps
@bind@    # A source that has too many is told so; one that has an eighth more is not read at all.
    tcp-request connection track-sc0 src,ipmask(32,64) table sources
    tcp-request connection reject if { sc0_conn_cur gt @source_end@ }
    http-request return status 429 content-type text/plain string "429: your address has more than @source@ connections open here, the limit of one address\n" hdr Retry-After 10 hdr Connection close if { sc0_conn_cur gt @source@ }
    http-request return status 414 content-type text/plain string "414: the address of this request is too large: the limit of this server is @head@\n" if { url,length gt @head_bytes@ }
    http-request return status 431 content-type text/plain string "431: the headers of this request are too large: the limit of this server is @head@, cookies included\n" if { req.hdrs,length gt @head_bytes@ }
    # A host name counts without its case, port and trailing dot.
    http-request set-var(txn.host) req.hdr(host),field(1,:),lower,rtrim(.)
    http-request set-var(txn.route) var(txn.host),map_str(@maps@/hosts.map)
    http-request return status 404 content-type text/plain string "404: there is no app of this name\n" unless { var(txn.route) -m found }
    http-request set-var(txn.slots) var(txn.route),field(1,:),add(0)
    http-request return status 503 content-type text/plain string "503: this app is suspended; its owner knows why\n" hdr Retry-After 60 if { var(txn.slots) -m int 0 } { var(txn.route),field(4,:) -m str suspended }
    http-request return status 503 content-type text/plain string "503: this app has no running instance; its owner sees why with: cloister ps\n" hdr Retry-After 5 if { var(txn.slots) -m int 0 }
    http-request track-sc1 var(txn.route),field(2,:) table apps_now
    http-request track-sc2 var(txn.route),field(3,:) table tenants_now
    http-request return status 503 content-type text/plain string "503: this app has @app@ requests that it has not answered, the limit of one app\n" hdr Retry-After 1 hdr Connection close if { sc1_conn_cur gt @app@ }
    http-request return status 503 content-type text/plain string "503: the apps of this tenant have @tenant@ requests that they have not answered, the limit of one tenant\n" hdr Retry-After 1 hdr Connection close if { sc2_conn_cur gt @tenant@ }
    # What a proxy says to an app, we say and nobody else. Nor does a client choose which header the app drops (Connection), or
    # speak HTTP/2 past all this.
    http-request del-header @forgeable@ -m reg
    http-request del-header Upgrade if { req.hdr(upgrade) -m sub -i h2c }
    http-request set-header Connection upgrade if { req.hdr(upgrade) -m found } { req.hdr(connection) -m sub -i upgrade }
    http-request del-header Connection unless { req.hdr(connection) -m sub -i upgrade }
    http-request set-header X-Forwarded-For %[src]
    http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    http-request set-header X-Forwarded-Port %[ssl_fc,iif(443,80)]
    http-request set-header X-Forwarded-Port %[req.hdr(host),field(2,:)] if { req.hdr(host),field(2,:) -m reg ^[0-9]+$ }
    http-request set-var(txn.tried) int(0)
    http-request set-var(txn.slot) rand,mod(txn.slots)
@choose@    use_backend uploads if { var(txn.upload) -m bool }
    default_backend instances

# The next slot of a request that could not be connected to its first one. The PROXY header says how many were tried, and which.
frontend again
    bind @again@ mode 600 accept-proxy
    http-request set-var(txn.host) req.hdr(host),field(1,:),lower,rtrim(.)
    http-request set-var(txn.route) var(txn.host),map_str(@maps@/hosts.map)
    http-request set-var(txn.slots) var(txn.route),field(1,:),add(0)
    http-request return status 503 content-type text/plain string "503: this app has no running instance; its owner sees why with: cloister ps\n" hdr Retry-After 5 unless { var(txn.slots) -m int gt 0 }
    http-request set-var(txn.tried) fc_pp_unique_id,field(1,.),add(1)
    http-request set-var(txn.slot) fc_pp_unique_id,field(2,.),add(1),mod(txn.slots)
@choose@    http-request set-var(txn.last) bool(true) if { var(txn.tried) -m int ge 3 } || { var(txn.tried),sub(txn.slots) ge 0 }
    use_backend last_uploads if { var(txn.last) -m bool } { var(txn.upload) -m bool }
    use_backend last if { var(txn.last) -m bool }
    use_backend uploads if { var(txn.upload) -m bool }
    default_backend instances

backend instances
@wait@@reach@@next@
backend uploads
    timeout server @answer@s
@reach@@next@
# The same without another place to go: it is tried twice, a second apart.
backend last
@wait@@reach@
backend last_uploads
    timeout server @answer@s
@reach@)haproxy";

// In either frontend: from a slot to a destination.
constexpr const char* kChoose =
    R"haproxy(    unique-id-format "%[var(txn.tried)].%[var(txn.slot)]"
    http-request set-var-fmt(txn.key) "%[var(txn.host)]#%[var(txn.slot)]"
    http-request set-var(txn.to) var(txn.key),map_str(@maps@/slots.map)
    # Between the two look-ups the number of slots may have shrunk: the first slot is the last to go.
    http-request set-var-fmt(txn.first) "%[var(txn.host)]#0"
    http-request set-var(txn.to) var(txn.first),map_str(@maps@/slots.map) unless { var(txn.to) -m found }
    # Whatever a map says: nothing outside the instances' network is ever connected to.
    http-request return status 503 content-type text/plain string "503: this app has no running instance; its owner sees why with: cloister ps\n" unless { var(txn.to),field(1,:) -m ip @network@ }
    http-request set-dst var(txn.to),field(1,:)
    http-request set-dst-port var(txn.to),field(2,:)
    http-request set-var(txn.upload) bool(true) if { req.hdr(transfer-encoding) -m found } || { req.hdr(content-length) -m int gt @upload@ }
    http-request wait-for-body time 30s at-least @upload@ if { req.hdr(content-length) -m int gt 0 } !{ var(txn.upload) -m bool }
    http-request set-var(txn.began) date(0,ms)
)haproxy";

// The wait for the first byte. Not for uploads: HAProxy 2.6 loses an answer that is inspected while the request is
// still being sent.
constexpr const char* kWait =
    R"haproxy(    tcp-response inspect-delay @answer@s
    tcp-response content accept if { srv_id 2 }
    tcp-response content accept if { status gt 0 }
    tcp-response content lua.silent if { date(0,ms),sub(txn.began) ge @answer_ms@ }
)haproxy";

// The destination is the one that the request was given; connections are shared only between equal destinations. Of a
// request that a kept connection died under, the client's own connection is closed without an answer, which says that
// it may be sent again.
constexpr const char* kReach =
    R"haproxy(    retries 1
    retry-on conn-failure
    http-reuse safe
    http-response return status 502 content-type text/plain string "502: the head of the app's answer is too large: the limit of this server is @head@\n" if { res.hdrs,length gt @head_bytes@ }
    server instance 0.0.0.0:0 id 1 pool-purge-delay 2s
)haproxy";

// A second server takes what could not be connected to the first.
constexpr const char* kNext =
    R"haproxy(    option redispatch 1
    balance first
    server again @again@ id 2 send-proxy-v2 proxy-v2-options unique-id pool-max-conn 0
)haproxy";

std::string number(unsigned value) {
  return std::to_string(value);
}

}  // namespace

std::string haproxyConfig(const ConfigOptions& options) {
  std::string stats;
  if (!options.statsBind.empty()) {
    stats = "frontend metrics\n    bind " + options.statsBind +
            "\n    http-request use-service prometheus-exporter if { path /metrics }\n"
            "    http-request return status 404\n\n";
  }
  std::string bind;
  for (const auto& address : options.bind) {
    bind += "    bind " + address + (address.starts_with("[") || address.starts_with(":") ? " v6only" : "") + "\n";
  }
  const auto& socket = options.runtimeSocket;
  const Shares& shares = options.connections;
  std::string text = kHead;
  text = filled(std::move(text), "choose", kChoose);
  text = filled(std::move(text), "wait", kWait);
  text = filled(std::move(text), "reach", kReach);
  text = filled(std::move(text), "next", kNext);
  text = filled(std::move(text), "connections", number(shares.all));
  text = filled(std::move(text), "app", number(shares.app()));
  text = filled(std::move(text), "tenant", number(shares.tenant()));
  text = filled(std::move(text), "source", number(shares.source()));
  text = filled(std::move(text), "source_end", number(shares.source() / 8 * 9));
  text = filled(std::move(text), "buffer", number(kBufferBytes));
  text = filled(std::move(text), "head", number(kHeadBytes >> 10U) + " KiB");
  text = filled(std::move(text), "head_bytes", number(kHeadBytes));
  text = filled(std::move(text), "upload", number(kUploadBytes));
  text = filled(std::move(text), "answer", number(options.answerSeconds));
  // The look at the clock is at the end of that time.
  text = filled(std::move(text), "answer_ms", number(options.answerSeconds * 1'000 - 100));
  text = filled(std::move(text), "lua", options.luaFile);
  text = filled(std::move(text), "forgeable", forgeableHeaders());
  text = filled(std::move(text), "again", socket.substr(0, socket.rfind('/') + 1) + "again.sock");
  text = filled(std::move(text), "socket", socket);
  text = filled(std::move(text), "stats", stats);
  text = filled(std::move(text), "bind", bind);
  text = filled(std::move(text), "maps", options.mapDirectory);
  return filled(std::move(text), "network", options.instanceNetwork);
}

std::string haproxyLua(unsigned answerSeconds) {
  return filled(R"lua(-- Written by Cloister: what HAProxy says to who waited too long for an answer.
core.register_action("silent", {"tcp-res"}, function(txn)
  txn:done(txn:reply({status = 504, reason = "Gateway Timeout", headers = {["content-type"] = {"text/plain"}},
                      body = "504: the app sent no answer within @answer@ s, the limit of this server\n"}))
end)
)lua",
                "answer", number(answerSeconds));
}

}  // namespace cloister::edge
