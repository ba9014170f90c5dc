#include "controlplane/edge/domain_names.h"

#include <libpsl.h>

#include <algorithm>
#include <array>

namespace cloister::edge {
namespace {

// Of special use, by the standards or by habit: no resolver of the internet gives them to anybody.
constexpr std::array<std::string_view, 13> kInternal = {"localhost", "local", "internal",   "intranet", "private",
                                                        "lan",       "home",  "corp",       "arpa",     "onion",
                                                        "invalid",   "alt",   "localdomain"};
// *.internal is above.
constexpr std::array<std::string_view, 6> kMetadata = {"metadata.goog",           "metadata.azure.com",
                                                       "metadata.packet.net",     "metadata.platformequinix.com",
                                                       "metadata.tencentyun.com", "metadata.nova"};

std::string lowered(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return out;
}

// The name itself, or below it.
bool isWithin(std::string_view host, std::string_view name) {
  if (!host.ends_with(name)) return false;
  return host.size() == name.size() || host[host.size() - name.size() - 1] == '.';
}

// Browsers and resolvers read a name whose last part is a number, also a hexadecimal one, as an address.
bool isAddress(std::string_view host) {
  auto last = host.substr(host.rfind('.') + 1);
  const auto digits = [](std::string_view text, std::string_view allowed) {
    return text.find_first_not_of(allowed) == std::string_view::npos;
  };
  if (digits(last, "0123456789") || host.find_first_of(":[]") != std::string_view::npos) return true;
  return last.starts_with("0x") && digits(last.substr(2), "0123456789abcdef");
}

}  // namespace

DomainNames::DomainNames(std::vector<std::string> own) {
  for (const auto& name : own) {
    if (!name.empty()) own_.push_back(lowered(name));
  }
}

bool DomainNames::mayBeAdded(std::string_view text) const {
  const auto host = lowered(text);
  const auto covers = [&](std::string_view name) { return isWithin(host, name); };
  if (host.empty() || isAddress(host)) return false;
  if (std::any_of(own_.begin(), own_.end(), covers) || std::any_of(kInternal.begin(), kInternal.end(), covers) ||
      std::any_of(kMetadata.begin(), kMetadata.end(), covers)) {
    return false;
  }
  const auto* list = psl_builtin();
  return list != nullptr && psl_is_public_suffix(list, host.c_str()) == 0;
}

}  // namespace cloister::edge
