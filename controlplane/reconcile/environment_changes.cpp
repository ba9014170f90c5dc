#include "controlplane/reconcile/environment_changes.h"

#include <algorithm>

#include "sandbox/base/utf8.h"

namespace cloister::reconcile {
namespace {

using store::Conflict;
using store::Invalid;

constexpr std::size_t kMaxValueBytes = 32UL * 1024;
constexpr std::size_t kMaxEnvironmentBytes = 64UL * 1024;  // it travels in one message to the launcher

void checkVariable(const std::string& name, const std::optional<std::string>& value) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  const auto good = [&](char c) { return letter(c) || (c >= '0' && c <= '9'); };
  if (name.empty() || name.size() > 256 || !letter(name.front()) || !std::all_of(name.begin(), name.end(), good)) {
    throw Invalid(name, "a variable's name has letters, digits and _ and begins with no digit");
  }
  if (name == "PORT" || name.starts_with("CLOISTER_")) throw Invalid(name, "is set by Cloister");
  if (!value) return;
  if (value->size() > kMaxValueBytes) throw Invalid(name, "its value is longer than 32 KiB");
  if (value->find('\0') != std::string::npos) throw Invalid(name, "its value has a NUL character");
  if (!utf8::valid(*value)) throw Invalid(name, "its value is not UTF-8; give bytes as base64");
}

std::size_t sizeOf(store::Store& store, const store::Environment& environment) {
  std::size_t bytes = 0;
  for (const auto& [name, value] : environment.config) bytes += name.size() + value.size() + 2;
  for (const auto& [name, secret] : environment.secrets) {
    bytes += name.size() + store.environments().opened(secret).size() + 2;
  }
  return bytes;
}

// One name has one value, and nothing that somebody set goes because somebody else used its name.
void refuseForeign(const store::Environment& environment, Variables variables, const std::string& name) {
  if (variables == Variables::config && environment.secrets.contains(name)) {
    throw Conflict("name_is_secret", name,
                   name + " is a secret of this app; say \"cloister secret unset " + name + "\" first");
  }
  if (variables == Variables::secrets && environment.config.contains(name)) {
    throw Conflict("name_is_config", name,
                   name + " is a config variable of this app; say \"cloister config unset " + name + "\" first");
  }
}

void setSecret(store::Store& store, store::Environment& environment, const std::string& name,
               const std::string& value) {
  const auto known = environment.secrets.find(name);
  if (known != environment.secrets.end() && store.environments().opened(known->second) == value) return;
  environment.secrets[name] = store.environments().seal(value);
}

}  // namespace

const char* name(Variables variables) {
  return variables == Variables::config ? "config" : "secret";
}

store::Environment changed(store::Store& store, store::Environment environment, Variables variables,
                           const EnvironmentChanges& changes) {
  if (changes.empty()) throw Invalid("", "no variable is named");
  for (const auto& [name, value] : changes) checkVariable(name, value);
  for (const auto& [name, value] : changes) {
    refuseForeign(environment, variables, name);
    if (variables == Variables::config) {
      environment.config.erase(name);
      if (value) environment.config[name] = *value;
    } else if (value) {
      setSecret(store, environment, name, *value);
    } else {
      environment.secrets.erase(name);
    }
  }
  if (sizeOf(store, environment) > kMaxEnvironmentBytes) {
    throw Invalid(changes.begin()->first, "the whole environment would be larger than 64 KiB", "environment_too_large");
  }
  return environment;
}

std::string describe(Variables variables, const EnvironmentChanges& changes) {
  std::string set;
  std::string unset;
  for (const auto& [name, value] : changes) {
    auto& list = value ? set : unset;
    list += (list.empty() ? "" : ", ") + name;
  }
  std::string text = name(variables);
  if (!set.empty()) text += " set " + set;
  if (!unset.empty()) text += (set.empty() ? " unset " : "; unset ") + unset;
  return text;
}

}  // namespace cloister::reconcile
