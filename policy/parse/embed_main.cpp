// policy-embed: turns policy/profiles/ into C++ that the launcher has built in, so that it parses nothing at run time.
//
//   policy-embed PROFILES_DIRECTORY OUTPUT_DIRECTORY     writes profiles.inc and apparmor.inc
#include <array>
#include <cstdio>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include "policy/parse/profile_file.h"

namespace {

using cloister::policy::ProfileFile;

constexpr std::array kProfiles = {"app", "build", "exec", "freeze", "floor", "launcher", "node", "daemon"};

bool readText(const std::string& path, std::string& text) {
  std::ifstream file(path);
  std::stringstream buffer;
  buffer << file.rdbuf();
  text = buffer.str();
  return file.good();
}

std::string quoted(const std::string& text) {
  return "R\"text(" + text + ")text\"";
}

void writeProfile(std::ostream& out, const ProfileFile& profile) {
  const std::string& name = profile.name;
  for (std::size_t i = 0; i < profile.rules.size(); ++i) {
    const auto& tests = profile.rules[i].tests;
    if (tests.empty()) continue;
    out << "constexpr ArgumentTest " << name << "Tests" << i << "[] = {";
    for (const auto& test : tests) {
      out << "{" << test.argument << "U, " << test.mask << "U, " << test.value << "U}, ";
    }
    out << "};\n";
  }
  // Plain arrays: clang gives up on deducing a std::array of this length.
  out << "constexpr SyscallRule " << name << "Rules[] = {\n";
  for (std::size_t i = 0; i < profile.rules.size(); ++i) {
    const auto& rule = profile.rules[i];
    out << "    {" << quoted(rule.call) << ", " << rule.number << "U, " << rule.denyErrno << ", "
        << (rule.tests.empty() ? std::string("{}") : name + "Tests" + std::to_string(i)) << ", " << quoted(rule.reason)
        << "},\n";
  }
  out << "};\nconstexpr SeccompProfile " << name << " = {\"" << name << "\", " << name << "Rules};\n";
}

int fail(const std::string& what) {
  std::fprintf(stderr, "policy-embed: %s\n", what.c_str());
  return 1;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) return fail("needs PROFILES_DIRECTORY OUTPUT_DIRECTORY");
  const std::string source = arguments[1];
  const std::string target = arguments[2];
  std::map<std::string, ProfileFile> files;
  for (const std::string name : kProfiles) {
    std::string text;
    const std::string path = source + "/" + name + ".toml";
    if (!readText(path, text)) return fail("cannot read " + path);
    auto profile = cloister::policy::parseProfile(text, name + ".toml");
    if (!profile) return fail(profile.error().message());
    if (profile->name != name) return fail(path + ": name: must be " + name);
    files[name] = std::move(*profile);
  }
  std::map<std::string, ProfileFile> whole = files;
  for (auto& [name, file] : whole) {
    if (file.inherits.empty()) continue;
    if (files.count(file.inherits) == 0) return fail(name + ".toml: inherits: no such class");
    file = inheritProfile(files[file.inherits], file);
  }
  for (auto& [name, file] : whole) {
    for (const auto& child : files[name].children) {
      if (whole.count(child) == 0) return fail(name + ".toml: children: no such class as " + child);
      file = admitChild(file, whole[child]);
    }
  }
  std::ofstream profiles(target + "/profiles.inc");
  profiles << "namespace profiles {\n";
  for (const auto& [name, file] : whole) writeProfile(profiles, file);
  profiles << "}  // namespace profiles\n";
  std::string text;
  if (!readText(source + "/apparmor.template", text)) return fail("cannot read apparmor.template");
  std::ofstream apparmor(target + "/apparmor.inc");
  apparmor << "constexpr const char* kAppArmorTemplate = " << quoted(text) << ";\n";
  profiles.flush();
  apparmor.flush();
  return profiles.good() && apparmor.good() ? 0 : fail("cannot write " + target);
}
