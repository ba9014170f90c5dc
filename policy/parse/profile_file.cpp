#include "policy/parse/profile_file.h"

#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <initializer_list>
#include <limits>
#include <set>

#include "policy/parse/syscall_names.h"

namespace cloister::policy {
namespace {

constexpr std::int64_t kMostInt = std::numeric_limits<std::uint32_t>::max();

struct ErrnoName {
  std::string_view name;
  int number;
};
constexpr std::array kErrnos = {
    ErrnoName{"EPERM", EPERM},           ErrnoName{"ENOSYS", ENOSYS},     ErrnoName{"EAFNOSUPPORT", EAFNOSUPPORT},
    ErrnoName{"ENOTTY", ENOTTY},         ErrnoName{"EINVAL", EINVAL},     ErrnoName{"ENOMEM", ENOMEM},
    ErrnoName{"EOPNOTSUPP", EOPNOTSUPP}, ErrnoName{"NONE", kAnswersZero}, ErrnoName{"ENOPROTOOPT", ENOPROTOOPT}};

using Ways = std::vector<std::vector<ArgumentTest>>;

Error fault(std::string_view file, std::string_view key, std::string_view what) {
  return Error{"profile", std::string(what), std::string(file) + ": " + std::string(key), EINVAL};
}

Status onlyKeys(const toml::table& table, std::initializer_list<std::string_view> known, std::string_view file) {
  for (const auto& [key, value] : table) {
    if (std::find(known.begin(), known.end(), key.str()) == known.end()) return fault(file, key.str(), "unknown key");
  }
  return {};
}

Result<std::uint32_t> number(const toml::node_view<const toml::node>& node, std::string_view file,
                             std::string_view key) {
  const auto value = node.value_exact<std::int64_t>();
  if (!value || *value < 0 || *value > kMostInt) return fault(file, key, "needs an integer of 32 bits");
  return static_cast<std::uint32_t>(*value);
}

// What one table of `when` says: any of these.
Result<std::vector<ArgumentTest>> parseTests(const toml::table& table, std::string_view file) {
  if (auto good = onlyKeys(table, {"argument", "mask", "equals", "any"}, file); !good) return good.error();
  auto argument = number(table["argument"], file, "when.argument");
  auto mask = number(table["mask"], file, "when.mask");
  for (const auto* part : {&argument, &mask}) {
    if (!*part) return part->error();
  }
  if (*argument > 5) return fault(file, "when.argument", "a system call has six arguments");
  if (*mask == 0) return fault(file, "when.mask", "looks at no bit, so it always holds");
  std::vector<ArgumentTest> tests;
  const auto add = [&](const toml::node_view<const toml::node>& node, std::string_view key) -> Status {
    auto value = number(node, file, key);
    if (!value) return value.error();
    if ((*value & ~*mask) != 0) return fault(file, key, "has bits outside the mask, so it never holds");
    tests.push_back({*argument, *mask, *value});
    return {};
  };
  if (!table.contains("any")) {
    if (auto good = add(table["equals"], "when.equals"); !good) return good.error();
    return tests;
  }
  const auto* values = table["any"].as_array();
  if (table.contains("equals")) return fault(file, "when.any", "excludes equals");
  if (values == nullptr || values->empty()) return fault(file, "when.any", "needs a list");
  for (const auto& item : *values) {
    if (auto good = add(toml::node_view<const toml::node>(item), "when.any"); !good) return good.error();
  }
  return tests;
}

Result<Ways> parseWhen(const toml::array& when, std::string_view file) {
  constexpr std::size_t kMostWays = 256;
  Ways ways = {{}};
  for (const auto& item : when) {
    const auto* table = item.as_table();
    if (table == nullptr) return fault(file, "when", "needs tables");
    auto tests = parseTests(*table, file);
    if (!tests) return tests.error();
    const bool twice = std::any_of(ways.front().begin(), ways.front().end(),
                                   [&](const auto& test) { return test.argument == tests->front().argument; });
    if (twice) return fault(file, "when.argument", "names an argument twice");
    if (ways.size() * tests->size() > kMostWays) return fault(file, "when", "has too many combinations");
    Ways more;
    for (const auto& way : ways) {
      for (const auto& test : *tests) {
        more.push_back(way);
        more.back().push_back(test);
      }
    }
    ways = std::move(more);
  }
  return ways;
}

// The ways in which one entry's calls are allowed: one list of tests each.
Result<Ways> parseWays(const toml::table& entry, std::string_view file) {
  if (const auto* when = entry["when"].as_array()) {
    for (const auto key : {"argument", "values", "mask"}) {
      if (entry.contains(key)) return fault(file, "when", std::string("excludes ") + key);
    }
    if (when->empty()) return fault(file, "when", "is empty");
    return parseWhen(*when, file);
  }
  if (entry.contains("when")) return fault(file, "when", "needs a list of tables");
  if (!entry.contains("values")) {
    // A test that is malformed must not become a rule without one.
    for (const auto key : {"argument", "mask"}) {
      if (entry.contains(key)) return fault(file, key, "needs values");
    }
    return Ways{{}};
  }
  auto argument = number(entry["argument"], file, "argument");
  if (!argument) return argument.error();
  const auto* values = entry["values"].as_array();
  if (*argument > 5 || values == nullptr || values->empty())
    return fault(file, "values", "needs a list and an argument 0-5");
  auto mask = entry.contains("mask") ? number(entry["mask"], file, "mask") : Result<std::uint32_t>(0xffffffffU);
  if (!mask) return mask.error();
  Ways ways;
  for (const auto& item : *values) {
    auto value = number(toml::node_view<const toml::node>(item), file, "values");
    if (!value) return value.error();
    if (*mask == 0 || (*value & ~*mask) != 0)
      return fault(file, "values", "has bits outside the mask, so it never holds");
    ways.push_back({{*argument, *mask, *value}});
  }
  return ways;
}

Status parseEntries(const toml::table& root, std::string_view key, ProfileFile& profile, std::string_view file) {
  const auto* entries = root[key].as_array();
  if (entries == nullptr) return root.contains(key) ? Status(fault(file, key, "needs [[tables]]")) : Status();
  for (const auto& item : *entries) {
    const auto* entry = item.as_table();
    if (entry == nullptr) return fault(file, key, "needs tables");
    const bool deny = key == "deny";
    auto good = deny ? onlyKeys(*entry, {"reason", "calls", "errno", "when", "argument", "values", "mask"}, file)
                     : onlyKeys(*entry, {"reason", "calls", "when", "argument", "values", "mask"}, file);
    if (!good) return good;
    const auto reason = (*entry)["reason"].value_or(std::string());
    if (reason.empty()) return fault(file, std::string(key) + ".reason", "every rule needs one");
    int denied = 0;
    if (deny) {
      const auto name = (*entry)["errno"].value_or(std::string());
      const auto known = std::find_if(kErrnos.begin(), kErrnos.end(), [&](const auto& e) { return e.name == name; });
      if (known == kErrnos.end()) return fault(file, "deny.errno", "unknown errno '" + name + "'");
      denied = known->number;
    }
    auto ways = parseWays(*entry, file);
    if (!ways) return ways.error();
    const auto* calls = (*entry)["calls"].as_array();
    if (calls == nullptr || calls->empty()) return fault(file, std::string(key) + ".calls", "needs a list");
    for (const auto& node : *calls) {
      const auto call = node.value<std::string>();
      if (!call || call->empty()) return fault(file, std::string(key) + ".calls", "needs names");
      const auto found = syscallNumber(*call);
      if (!found) return fault(file, std::string(key) + ".calls", "no system call of x86_64 is '" + *call + "'");
      for (const auto& way : *ways) profile.rules.push_back({*call, *found, denied, way, reason});
    }
  }
  return {};
}

}  // namespace

Result<ProfileFile> parseProfile(std::string_view text, std::string_view file) {
  toml::table root;
  try {
    root = toml::parse(text, file);
  } catch (const toml::parse_error& error) {
    return fault(file, "line " + std::to_string(error.source().begin.line), error.description());
  }
  if (auto good = onlyKeys(root, {"name", "inherits", "children", "allow", "deny"}, file); !good) return good.error();
  ProfileFile profile;
  profile.name = root["name"].value_or(std::string());
  profile.inherits = root["inherits"].value_or(std::string());
  if (profile.name.empty()) return fault(file, "name", "is missing");
  if (root.contains("children")) {
    const auto* children = root["children"].as_array();
    if (children == nullptr || children->empty()) return fault(file, "children", "needs a list");
    for (const auto& node : *children) {
      const auto child = node.value<std::string>();
      if (!child || child->empty()) return fault(file, "children", "needs names");
      profile.children.push_back(*child);
    }
  }
  for (const auto key : {"allow", "deny"}) {
    if (auto done = parseEntries(root, key, profile, file); !done) return done.error();
  }
  if (profile.rules.empty() && profile.inherits.empty()) return fault(file, "allow", "a profile without rules");
  // Without tests on either side, a reader could take either of two contradicting rules.
  std::set<std::string> allowed;
  for (const auto& rule : profile.rules) {
    if (!rule.tests.empty()) continue;
    if (rule.denyErrno == 0) allowed.insert(rule.call);
    if (rule.denyErrno != 0 && allowed.count(rule.call) != 0)
      return fault(file, rule.call, "is both allowed and denied");
  }
  return profile;
}

ProfileFile inheritProfile(const ProfileFile& parent, const ProfileFile& child) {
  std::set<std::string> own;
  for (const auto& rule : child.rules) own.insert(rule.call);
  ProfileFile whole = child;
  for (const auto& rule : parent.rules) {
    if (own.count(rule.call) != 0) continue;
    whole.rules.push_back(rule);
  }
  return whole;
}

ProfileFile admitChild(const ProfileFile& profile, const ProfileFile& child) {
  const auto freely = [](const ProfileRule& rule) { return rule.denyErrno == 0 && rule.tests.empty(); };
  std::set<std::string> open;
  for (const auto* file : {&profile, &child}) {
    for (const auto& rule : file->rules) {
      if (freely(rule)) open.insert(rule.call);
    }
  }
  ProfileFile whole = profile;
  // A way among others says nothing more once the call is open.
  std::erase_if(whole.rules, [&](const auto& rule) {
    return rule.denyErrno == 0 && !rule.tests.empty() && open.count(rule.call) != 0;
  });
  for (const auto& rule : child.rules) {
    if (rule.denyErrno != 0 || (!rule.tests.empty() && open.count(rule.call) != 0)) continue;
    const bool known = std::any_of(whole.rules.begin(), whole.rules.end(), [&](const auto& other) {
      return other.denyErrno == 0 && other.call == rule.call && other.tests == rule.tests;
    });
    if (!known) whole.rules.push_back(rule);
  }
  return whole;
}

}  // namespace cloister::policy
