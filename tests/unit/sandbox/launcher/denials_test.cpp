// Records of the kernel's log, good and hostile.
#include "sandbox/launcher/denials.h"

#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace cloister::launcher {
namespace {

std::string record(const std::string& fields, const std::string& head = "5,1234,98765432,-") {
  return head + ";audit: type=1400 audit(1700000000.123:45): " + fields + "\n";
}

TEST(Denial, isReadFromTheKernelsWords) {
  const auto denial = parseDenial(record(
      R"(apparmor="DENIED" operation="open" class="file" profile="cloister-app-t00042" name="/proc/sysrq-trigger" )"
      R"(pid=77 comm="sh" requested_mask="w" denied_mask="w" fsuid=3276136 ouid=0)"));
  ASSERT_TRUE(denial);
  EXPECT_EQ(denial->sequence, 1234U);
  EXPECT_EQ(denial->tenant, 42U);
  EXPECT_EQ(denial->operation, "open");
  EXPECT_EQ(denial->target, "/proc/sysrq-trigger");
  EXPECT_EQ(denial->program, "sh");
}

TEST(Denial, namesPeersAndCapabilities) {
  const auto signal = parseDenial(record(
      R"(apparmor="DENIED" operation="signal" profile="cloister-build-t00001" pid=7 comm="kill" requested_mask="send" )"
      R"(denied_mask="send" signal=term peer="cloister-app-t00002")"));
  ASSERT_TRUE(signal);
  EXPECT_EQ(signal->target, "cloister-app-t00002");
  const auto capability = parseDenial(record(
      R"(apparmor="DENIED" operation="capable" profile="cloister-exec-t00001" pid=7 comm="x" capability=21  capname="sys_admin")"));
  ASSERT_TRUE(capability);
  EXPECT_EQ(capability->target, "sys_admin");
}

TEST(Denial, textsOfProgramsAreTakenInHexadecimalAndCut) {
  const auto odd = parseDenial(
      record(R"(apparmor="DENIED" operation="open" profile="cloister-app-t00042" name=2F612062220A pid=77 comm=FF00)"));
  ASSERT_TRUE(odd);
  EXPECT_EQ(odd->target, "/a b\"\n");
  EXPECT_EQ(odd->program, std::string("\xff\0", 2));
  const auto longest = parseDenial(record(
      R"(apparmor="DENIED" operation="open" profile="cloister-app-t00042" name="/)" + std::string(4000, 'a') + "\""));
  ASSERT_TRUE(longest);
  EXPECT_EQ(longest->target.size(), kMostDenialText);
}

TEST(Denial, nothingElseIsOne) {
  const std::string good = R"(apparmor="DENIED" operation="open" profile="cloister-app-t00042" name="/x" comm="sh")";
  ASSERT_TRUE(parseDenial(record(good)));
  const std::vector<std::pair<const char*, std::string>> cases = {
      {"empty", ""},
      {"no head", "audit: type=1400 audit(1:1): " + good},
      {"no sequence", record(good, "5,x,1,-")},
      {"sequence too large", record(good, "5,99999999999999999999,1,-")},
      {"other audit type", "5,1,1,-;audit: type=1326 audit(1:1): " + good},
      {"a program's name before it", "5,1,1,-;sh[7]: audit: type=1400 audit(1:1): " + good},
      {"no stamp", "5,1,1,-;audit: type=1400 audit(1:1) " + good},
      {"allowed", record(R"(apparmor="ALLOWED" operation="open" profile="cloister-app-t00042" name="/x")")},
      {"status",
       record(R"(apparmor="STATUS" operation="profile_load" profile="unconfined" name="cloister-app-t00042")")},
      {"no tenant's profile", record(R"(apparmor="DENIED" operation="open" profile="cloister-node" name="/x")")},
      {"profile unquoted", record(R"(apparmor="DENIED" operation="open" profile=cloister-app-t00042 name="/x")")},
      {"no operation", record(R"(apparmor="DENIED" profile="cloister-app-t00042" name="/x")")},
      {"open quote", record(R"(apparmor="DENIED" operation="open" profile="cloister-app-t00042" name="/x)")},
      {"text behind a quote", record(R"(apparmor="DENIED"x operation="open" profile="cloister-app-t00042")")},
      {"no key", record(R"(="DENIED" apparmor="DENIED" operation="open" profile="cloister-app-t00042")")},
      {"only in the dictionary", "5,1,1,-;hello\n audit: type=1400 audit(1:1): " + good},
  };
  for (const auto& [what, text] : cases) EXPECT_FALSE(parseDenial(text)) << what;
  for (std::size_t size = 0; size < record(good).size() - 20; ++size) (void)parseDenial(record(good).substr(0, size));
}

}  // namespace
}  // namespace cloister::launcher
