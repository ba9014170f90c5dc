#include <array>
#include <string>
#include <string_view>

#include "controlplane/edge/config.h"

namespace cloister::edge {
namespace {

// A `-` stands for any separator; a name that ends with `*` for all that begin so.

// After `x-`.
constexpr std::array kForgeableX = {
    // Who the client is, and how and under which name it came.
    "forward*", "real-*", "original-*", "originating-*", "rewrite-url", "client-ip", "cluster-client-ip", "remote-*",
    "host", "http-host-override", "scheme", "url-scheme", "proto", "protocol", "https", "proxyuser-ip", "coming-from",
    // The same in the words of services that stand in front of apps.
    "azure-clientip", "azure-socketip", "appengine-*", "arr-*", "envoy-external-address", "nf-client-connection-ip",
    "vercel-forwarded-*", "vercel-ip-*", "sucuri-clientip",
    // Certificates and users that a proxy has proved.
    "ssl*", "client-cert*", "client-verify*", "client-dn", "authenticated-*", "auth-request-*", "webauth-*",
    "amzn-oidc-*", "ms-client-principal*",
    // Where files lie: Rack and web servers believe these.
    "sendfile-type", "accel-*"};

constexpr std::array kForgeable = {"forwarded*", "client-ip", "remote-addr", "remote-host", "remote-port",
                                   "remote-user", "https", "front-end-https", "wl-proxy-*", "proxy-client-ip",
                                   // Services that stand in front of apps.
                                   "true-client-ip", "cf-connecting-*", "cf-visitor", "cf-pseudo-*", "cf-ipcountry",
                                   "cdn-src-ip", "ali-cdn-real-ip", "fastly-client-ip", "fastly-ssl", "fly-client-ip",
                                   "fly-forwarded-*", "do-connecting-ip", "incap-client-ip",
                                   // Certificates that a proxy has proved.
                                   "ssl-client-*", "client-cert*",
                                   // A gateway makes HTTP_PROXY of it, the proxy for what the app itself fetches.
                                   "proxy"};

// What frames a request: its own spelling is for HAProxy to judge, another one becomes the same variable behind a
// gateway.
constexpr std::array kShadowable = {"content-length", "content-type", "transfer-encoding"};

template <std::size_t N>
std::string anyOf(const std::array<const char*, N>& names, std::string_view separator) {
  std::string text;
  for (const std::string_view name : names) {
    if (!text.empty()) text += '|';
    for (const char c : name) {
      if (c == '-') {
        text += separator;
      } else if (c != '*') {
        text += c;
      }
    }
    if (!name.ends_with('*')) text += '$';
  }
  return "(?:" + text + ")";
}

}  // namespace

std::string forgeableHeaders() {
  constexpr std::string_view kSeparator = "[^a-z0-9]";
  return "^(?:x[^a-z0-9]" + anyOf(kForgeableX, kSeparator) + "|" + anyOf(kForgeable, kSeparator) + "|" +
         anyOf(kShadowable, "[^a-z0-9-]") + ")";
}

}  // namespace cloister::edge
