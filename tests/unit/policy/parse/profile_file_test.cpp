#include "policy/parse/profile_file.h"

#include <cerrno>
#include <filesystem>

#include <gtest/gtest.h>

#include "sandbox/base/files.h"

namespace cloister::policy {
namespace {

constexpr std::string_view kGood = R"(
name = "test"
[[allow]]
reason = "reading"
calls = ["read", "write"]
[[allow]]
reason = "unix sockets"
calls = ["socket"]
when = [{argument = 0, mask = 0xffffffff, equals = 1}, {argument = 1, mask = 0xf, equals = 2}]
[[allow]]
reason = "two requests"
calls = ["ioctl"]
argument = 1
values = [0x5401, 0x541b]
[[deny]]
errno = "EPERM"
reason = "one request"
calls = ["ioctl"]
argument = 1
mask = 0xff
values = [0x12]
[[deny]]
errno = "ENOTTY"
reason = "all others"
calls = ["ioctl"]
)";

std::vector<ProfileRule> rulesOf(const ProfileFile& profile, std::string_view call) {
  std::vector<ProfileRule> rules;
  for (const auto& rule : profile.rules) {
    if (rule.call == call) rules.push_back(rule);
  }
  return rules;
}

TEST(ProfileFile, readsRulesWithTheirTests) {
  const auto profile = parseProfile(kGood, "test.toml");
  ASSERT_TRUE(profile.ok()) << profile.error().message();
  EXPECT_EQ(profile->name, "test");
  EXPECT_EQ(rulesOf(*profile, "read").size(), 1U);
  const auto sockets = rulesOf(*profile, "socket");
  ASSERT_EQ(sockets.size(), 1U);
  ASSERT_EQ(sockets[0].tests.size(), 2U);
  EXPECT_EQ(sockets[0].tests[1].mask, 0xfU);
  EXPECT_EQ(sockets[0].reason, "unix sockets");
  const auto controls = rulesOf(*profile, "ioctl");
  ASSERT_EQ(controls.size(), 4U);
  EXPECT_EQ(controls[0].tests.at(0).mask, 0xffffffffU);
  EXPECT_EQ(controls[2].denyErrno, EPERM);
  EXPECT_EQ(controls[2].tests.at(0).mask, 0xffU);
  EXPECT_EQ(controls[3].denyErrno, ENOTTY);
}

TEST(ProfileFile, anyIsARuleForEachCombination) {
  const auto profile = parseProfile(
      "name = 't'\n[[deny]]\nerrno = 'NONE'\nreason = 'r'\ncalls = ['setreuid']\n"
      "when = [{argument = 0, mask = 0xff, any = [1, 2]}, {argument = 1, mask = 0xf, any = [3, 4, 5]}]",
      "test.toml");
  ASSERT_TRUE(profile.ok()) << profile.error().message();
  ASSERT_EQ(profile->rules.size(), 6U);
  EXPECT_EQ(profile->rules[0].tests, (std::vector<ArgumentTest>{{0, 0xff, 1}, {1, 0xf, 3}}));
  EXPECT_EQ(profile->rules[5].tests, (std::vector<ArgumentTest>{{0, 0xff, 2}, {1, 0xf, 5}}));
  for (const auto& rule : profile->rules) EXPECT_EQ(rule.denyErrno, kAnswersZero);
  std::string many = "name = 't'\n[[allow]]\nreason = 'r'\ncalls = ['prctl']\nwhen = [";
  for (int argument = 0; argument < 5; ++argument)
    many += "{argument = " + std::to_string(argument) + ", mask = 0xff, any = [1, 2, 3, 4]}, ";
  EXPECT_FALSE(parseProfile(many + "]", "test.toml").ok());
}

TEST(ProfileFile, refusesWhatIsNotExactlyAProfileAndNamesFileAndKey) {
  const std::string head = "name = 't'\n[[allow]]\nreason = 'r'\ncalls = ['ioctl']\n";
  const std::vector<std::pair<std::string, const char*>> cases = {
      {"", "name"},
      {"name = 5", "name"},
      {"name = 't'", "allow"},
      {"name = 't'\nallow = 3", "allow"},
      {"name = 't'\nallow = []", "allow"},
      {"name = 't'\nallow = ['read']", "allow"},
      {"name = 't'\nextra = 1", "extra"},
      {"name = 't'\nname = 'u'", "line 2"},
      {"name = 't'\n[[allow", "line 2"},
      {"name = 't'\n[[allow]]\ncalls = ['read']", "reason"},
      {"name = 't'\n[[allow]]\nreason = ''\ncalls = ['read']", "reason"},
      {"name = 't'\n[[allow]]\nreason = 'r'", "calls"},
      {"name = 't'\n[[allow]]\nreason = 'r'\ncalls = []", "calls"},
      {"name = 't'\n[[allow]]\nreason = 'r'\ncalls = 'read'", "calls"},
      {"name = 't'\n[[allow]]\nreason = 'r'\ncalls = ['']", "calls"},
      {"name = 't'\n[[allow]]\nreason = 'r'\ncalls = [1]", "calls"},
      {"name = 't'\n[[allow]]\nreason = 'r'\ncalls = ['no_such_call']", "calls"},
      {"name = 't'\n[[allow]]\nreason = 'r'\ncalls = ['socketcall']", "calls"},  // i386 has it
      {"name = 't'\n[[allow]]\nreason = 'r'\ncalls = [\"read\\u0000x\"]", "calls"},
      {"name = 't'\n[[allow]]\nreason = 'r'\ncalls = ['read']\nerrno = 'EPERM'", "errno"},
      {"name = 't'\n[[deny]]\nreason = 'r'\ncalls = ['read']", "errno"},
      {"name = 't'\n[[deny]]\nreason = 'r'\ncalls = ['read']\nerrno = 'EFOO'", "errno"},
      {"name = 't'\n[[deny]]\nreason = 'r'\ncalls = ['read']\nerrno = 1", "errno"},
      {head + "whne = [{argument = 0, mask = 1, equals = 1}]", "whne"},
      {head + "when = []", "when"},
      {head + "when = 5", "when"},
      {head + "when = 5\nargument = 1\nvalues = [1]", "when"},
      {head + "when = [5]", "when"},
      {head + "when = [{argument = 6, mask = 1, equals = 1}]", "when.argument"},
      {head + "when = [{argument = -1, mask = 1, equals = 1}]", "when.argument"},
      {head + "when = [{argument = 0, mask = 0, equals = 0}]", "when.mask"},
      {head + "when = [{argument = 0, equals = 0}]", "when.mask"},
      {head + "when = [{argument = 0, mask = 0x1ffffffff, equals = 0}]", "when.mask"},
      {head + "when = [{argument = 0, mask = 1, equals = 2}]", "when.equals"},
      {head + "when = [{argument = 0, mask = 1, equals = 1.0}]", "when.equals"},
      {head + "when = [{argument = 0, mask = 1, equals = 1, extra = 1}]", "extra"},
      {head + "when = [{argument = 0, mask = 1, equals = 1}, {argument = 0, mask = 2, equals = 2}]", "when.argument"},
      {head + "when = [{argument = 0, mask = 1, equals = 1}]\nvalues = [1]", "when"},
      {head + "when = [{argument = 0, mask = 1, equals = 1, any = [1]}]", "when.any"},
      {head + "when = [{argument = 0, mask = 1, any = []}]", "when.any"},
      {head + "when = [{argument = 0, mask = 1, any = 1}]", "when.any"},
      {head + "when = [{argument = 0, mask = 1, any = [1, 2]}]", "when.any"},
      {head + "when = [{argument = 0, mask = 3, any = [1, 2]}, {argument = 0, mask = 1, any = [1]}]", "when.argument"},
      {head + "argument = 1", "argument"},
      {head + "mask = 1", "mask"},
      {head + "values = [1]", "argument"},
      {head + "argument = 1\nvalues = []", "values"},
      {head + "argument = 1\nvalues = 1", "values"},
      {head + "argument = 6\nvalues = [1]", "values"},
      {head + "argument = 1\nvalues = [0x100000000]", "values"},
      {head + "argument = 1\nvalues = [-1]", "values"},
      {head + "argument = 1\nvalues = ['1']", "values"},
      {head + "argument = 1\nmask = 0xf\nvalues = [0x10]", "values"},
      {head + "[[deny]]\nerrno = 'EPERM'\nreason = 'r'\ncalls = ['ioctl']", "ioctl"},
  };
  for (const auto& [text, key] : cases) {
    const auto profile = parseProfile(text, "some.toml");
    ASSERT_FALSE(profile.ok()) << text;
    EXPECT_EQ(profile.error().code, EINVAL) << text;
    EXPECT_NE(profile.error().path.find("some.toml"), std::string::npos) << text;
    EXPECT_NE(profile.error().path.find(key), std::string::npos) << text << "\n" << profile.error().message();
  }
}

TEST(ProfileFile, aCallThatTheChildNamesIsTheChildsAlone) {
  const auto parent = parseProfile(kGood, "parent.toml");
  const auto child = parseProfile(
      "name = 'c'\ninherits = 'test'\n[[deny]]\nerrno = 'EPERM'\nreason = 'r'\ncalls = ['ioctl']", "c.toml");
  ASSERT_TRUE(parent.ok());
  ASSERT_TRUE(child.ok());
  const ProfileFile whole = inheritProfile(*parent, *child);
  EXPECT_EQ(whole.name, "c");
  EXPECT_EQ(rulesOf(whole, "read").size(), 1U);
  ASSERT_EQ(rulesOf(whole, "ioctl").size(), 1U);
  EXPECT_EQ(rulesOf(whole, "ioctl")[0].denyErrno, EPERM);
}

TEST(ProfileFile, whatAChildMayCallComesAlongAndItsDenialsDoNot) {
  const auto own = parseProfile(
      "name = 'own'\nchildren = ['kid']\n[[allow]]\nreason = 'r'\ncalls = ['mount']\n"
      "[[allow]]\nreason = 'r'\ncalls = ['prctl']\nargument = 0\nvalues = [1]\n"
      "[[allow]]\nreason = 'r'\ncalls = ['clone']\nargument = 0\nvalues = [17]\n",
      "own.toml");
  const auto kid = parseProfile(
      "name = 'kid'\n[[allow]]\nreason = 'r'\ncalls = ['read', 'clone']\n"
      "[[allow]]\nreason = 'r'\ncalls = ['prctl']\nargument = 0\nvalues = [1, 2]\n"
      "[[deny]]\nerrno = 'EPERM'\nreason = 'r'\ncalls = ['clone']\nargument = 0\nvalues = [0x10000000]\n"
      "[[deny]]\nerrno = 'EPERM'\nreason = 'r'\ncalls = ['mount']\n",
      "kid.toml");
  ASSERT_TRUE(own.ok()) << own.error().message();
  ASSERT_TRUE(kid.ok()) << kid.error().message();
  EXPECT_EQ(own->children, std::vector<std::string>{"kid"});
  const ProfileFile whole = admitChild(*own, *kid);
  EXPECT_EQ(whole.name, "own");
  ASSERT_EQ(rulesOf(whole, "mount").size(), 1U);
  EXPECT_EQ(rulesOf(whole, "mount")[0].denyErrno, 0);
  EXPECT_EQ(rulesOf(whole, "read").size(), 1U);
  EXPECT_EQ(rulesOf(whole, "prctl").size(), 2U) << "a way that both have counts once";
  ASSERT_EQ(rulesOf(whole, "clone").size(), 1U) << "open for the child, so open here";
  EXPECT_TRUE(rulesOf(whole, "clone")[0].tests.empty());
}

TEST(ProfileFile, childrenAreNames) {
  for (const std::string children : {"'kid'", "[]", "[1]", "['']"}) {
    EXPECT_FALSE(
        parseProfile("name = 'a'\nchildren = " + children + "\n[[allow]]\nreason = 'r'\ncalls = ['read']\n", "a.toml"))
        << children;
  }
}

TEST(ProfileFile, theProfilesOfTheTreeParse) {
  for (const auto* name : {"app", "build", "exec", "freeze", "launcher", "node", "daemon"}) {
    const std::string path = std::string(CLOISTER_SOURCE_DIR) + "/policy/profiles/" + name + ".toml";
    const auto text = files::read(path);
    ASSERT_TRUE(text.ok()) << text.error().message();
    const auto profile = parseProfile(*text, path);
    ASSERT_TRUE(profile.ok()) << profile.error().message();
    EXPECT_EQ(profile->name, name);
  }
}

}  // namespace
}  // namespace cloister::policy
