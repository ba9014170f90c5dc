// AppArmor profiles as text, and their compiled form made a tenant's.
#include "policy/model/apparmor.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "policy/model/capabilities.h"
#include "sandbox/base/files.h"
#include "tests/unit/policy/model/apparmor_blob.h"

namespace cloister::policy {
namespace {

// Debian's list of what its kernel mediates, so that a build machine without AppArmor compiles what the hosts would.
constexpr const char* kParser = "/sbin/apparmor_parser";
constexpr const char* kFeatures = "/usr/share/apparmor-features/features";

std::string compiled() {
  std::string directory = (std::filesystem::temp_directory_path() / "cloister-apparmor-XXXXXX").string();
  if (::mkdtemp(directory.data()) == nullptr) return "";
  const std::string output = directory + "/profiles";
  {
    const auto input = files::openAt(AT_FDCWD, directory + "/text", O_WRONLY | O_CREAT, files::Resolve::anywhere, 0600);
    EXPECT_TRUE(input && files::writeAll(input->get(), appArmorProfiles()));
  }
  const pid_t child = ::fork();
  if (child == 0) {
    ::execl(kParser, kParser, "--quiet", "--features-file", kFeatures, "--skip-kernel-load", "--skip-cache", "--ofile",
            output.c_str(), (directory + "/text").c_str(), nullptr);
    ::_exit(127);
  }
  int status = -1;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  auto blob = files::read(output, 4U << 20U);
  std::filesystem::remove_all(directory);
  return blob ? *blob : "";
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

// Each name that ought to lead on from where the hole did in `before`, and several that ought not.
void expectPeers(const std::string& before, const std::string& after, TenantIndex tenant) {
  const auto hole = automata(before);
  const auto filled = automata(after);
  ASSERT_EQ(hole.size(), filled.size());
  std::size_t places = 0;
  for (std::size_t i = 0; i < hole.size(); ++i) {
    for (std::size_t state = 1; state < hole[i].states(); ++state) {
      const std::size_t end = hole[i].walk(state, "-t99999");
      // A rule about files may take any name.
      if (end == 0 || hole[i].walk(state, "-tzzzzz") != 0) continue;
      ++places;
      EXPECT_EQ(filled[i].walk(state, tenantSuffix(tenant)), end);
      std::set<std::string> others = {"-t99999", tenantSuffix(tenant + 1), tenantSuffix(tenant - 1)};
      for (std::size_t at = 2; at < 7; ++at) {
        for (int byte = 0; byte < 256; ++byte) {
          std::string other = tenantSuffix(tenant);
          other[at] = static_cast<char>(byte);
          others.insert(other);
        }
      }
      others.erase(tenantSuffix(tenant));
      for (const auto& other : others) EXPECT_EQ(filled[i].walk(state, other), 0U) << other << " for " << tenant;
    }
  }
  EXPECT_GE(places, kAppArmorClasses.size()) << "each class has peers";
}

TEST(AppArmor, profilesAreCompleteAndNamed) {
  const std::string text = appArmorProfiles();
  for (const auto confinement : kAppArmorClasses) {
    std::string name = appArmorProfileName(confinement, 42);
    EXPECT_EQ(name.substr(name.size() - 7), "-t00042");
    EXPECT_EQ(tenantOfProfile(name), 42U);
    name.replace(name.size() - 5, 5, kTenantHole);
    EXPECT_EQ(count(text, "profile " + name + " "), 1U) << name;
    EXPECT_EQ(tenantOfProfile(name), 0U) << "the hole is nobody's";
  }
  EXPECT_EQ(count(text, "deny mount,"), kAppArmorClasses.size());
  EXPECT_EQ(text.find('@'), std::string::npos) << "a mark was left";
  std::size_t capabilities = 0;
  for (const auto confinement : kAppArmorClasses) capabilities += capabilitiesOf(confinement).size();
  EXPECT_EQ(count(text, "  capability "), capabilities);
}

TEST(AppArmor, onlyNamesOfTheFormAreATenants) {
  for (const char* name : {"cloister-app-t00000", "cloister-app-t30001", "cloister-app-t0042", "cloister-app-t000042",
                           "cloister-app-t0004x", "cloister-app-t-0042", "cloister-node", "cloister-apps-t00042",
                           "xcloister-app-t00042", ""}) {
    EXPECT_EQ(tenantOfProfile(name), 0U) << name;
  }
}

TEST(AppArmorTemplate, makesWhatTheParserCompiledATenantsOwn) {
  if (::access(kParser, X_OK) != 0 || ::access(kFeatures, R_OK) != 0) GTEST_SKIP() << "needs Debian's package apparmor";
  const std::string blob = compiled();
  ASSERT_FALSE(blob.empty());
  const auto profiles = AppArmorTemplate::parse(blob, kAppArmorClasses.size());
  ASSERT_TRUE(profiles) << profiles.error().message();
  for (const TenantIndex tenant : {1U, 42U, 9'999U, 12'345U, 29'876U, kLastTenant}) {
    const std::string own = profiles->forTenant(tenant);
    ASSERT_EQ(own.size(), blob.size());
    EXPECT_EQ(count(own, std::string(kTenantHole)), 0U);
    for (const auto confinement : kAppArmorClasses) {
      EXPECT_EQ(count(own, appArmorProfileName(confinement, tenant) + std::string(1, '\0')), 1U);
    }
    expectPeers(blob, own, tenant);
  }
}

TEST(AppArmorTemplate, patchesTheSmallestBlobByHand) {
  const std::string blob = profileBlob("cloister-app-t99999", "-t99999");
  const auto profile = AppArmorTemplate::parse(blob, 1);
  ASSERT_TRUE(profile) << profile.error().message();
  const std::string own = profile->forTenant(7);
  EXPECT_NE(own.find(std::string("cloister-app-t00007\0", 20)), std::string::npos);
  ASSERT_EQ(automata(own).size(), 1U);
  EXPECT_NE(automata(own)[0].walk(1, "-t00007"), 0U);
  EXPECT_EQ(automata(own)[0].walk(1, "-t00008"), 0U);
  EXPECT_EQ(automata(own)[0].walk(1, "-t99999"), 0U);
}

TEST(AppArmorTemplate, refusesWhatItDoesNotUnderstand) {
  const std::string good = profileBlob("cloister-app-t99999", "-t99999");
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "number of profiles for a tenant"},
      {good.substr(0, good.size() - 1), "unknown tag or cut value"},
      {good + "\x20", "unknown tag or cut value"},
      {good + "\x08", "end of nothing"},
      {good + good, "number of profiles for a tenant"},
      {profileBlob("cloister-app-t99998", "-t99999"), "number of profiles for a tenant"},
      {profileBlob("cloister-app-t99999x", "-t99999"), "tenant's number within a name"},
      {profileBlob("cloister-app-x99999", "-t99999"), "tenant's number within a name"},
      {profileBlob("cloister-app-t99999", "-t9999"), "shorter run of digits"},
      {profileBlob("cloister-app-t99999", "-t999999"), "longer run of digits"},
      {profileBlob("cloister-app-t99999", "-t00000"), "number of rule sets with a tenant's peers"},
      {profileBlob("cloister-app-t99999", "-t99999", 0), "no room for another digit"},
  };
  for (const auto& [blob, why] : cases) {
    const auto parsed = AppArmorTemplate::parse(blob, 1);
    ASSERT_FALSE(parsed) << why;
    EXPECT_EQ(parsed.error().operation, why);
    EXPECT_EQ(parsed.error().code, EPROTO);
  }
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(AppArmorTemplate::parse(good.substr(0, size), 1)) << size;
  }
}

}  // namespace
}  // namespace cloister::policy
