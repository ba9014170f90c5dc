// Feeds every fuzz target a few thousand inputs, the same in every run: good ones, and mutations of them.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <linux/if_link.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "sandbox/base/exec_report.h"
#include "sandbox/base/files.h"
#include "sandbox/base/launcher_protocol.h"
#include "sandbox/network/message.h"
#include "tests/fuzz/feed.h"
#include "tests/fuzz/targets.h"
#include "tests/unit/policy/model/apparmor_blob.h"

namespace cloister::fuzz {
namespace {

TEST(FuzzCorpus, launcherRequests) {
  launcher::LaunchRequest launch;
  launch.instance = "web-0";
  launch.tenant = 1;
  launch.layers = {std::string(64, 'a'), std::string(64, 'b')};
  launch.argv = {"/bin/sh", "-c", "true"};
  launch.environment = {"PORT=80", "A="};
  launch.workingDirectory = "/app";
  const std::vector<std::string> seeds = {
      encode(launch),
      encode(
          launcher::ExecRequest{"web-0", "ss-1", {"sh"}, {"TERM=xterm"}, "/", {24, 80}, launcher::Writes::byMode, {}}),
      encode(launcher::SignalRequest{"web-0", 15, launcher::SignalTarget::init}),
      encode(launcher::RemoveRequest{"web-0"}),
      encode(launcher::TenantPutRequest{1, {1, 2, 3, 4}, launcher::Egress::internet}),
      encode(launcher::TenantRemoveRequest{1}),
      encode(launcher::Verb::layerMount, launcher::LayerRequest{std::string(64, 'a')}),
      encode(launcher::Verb::layerRelease, launcher::LayerRequest{std::string(64, 'a')}),
      encode(launcher::Verb::recover),
      encode(launcher::NetworkUsageRequest{7}),
      encode(launcher::Verb::posture),
      encode(launcher::DenialsRequest{77}),
  };
  feed("launcherRequest", launcherRequest, seeds, 20'000);
}

TEST(FuzzCorpus, launcherReplies) {
  using launcher::DescriptorKind;
  const launcher::Launched launched{"web-0", 1, 2, 3, {DescriptorKind::pid, DescriptorKind::unified}, {10, 20}};
  const auto tagged = [](char kind, const std::string& reply) { return kind + reply.substr(1); };
  const std::vector<std::string> seeds = {
      tagged(0, encode(launched)),
      tagged(1, encode(launcher::Executed{9})),
      tagged(2, encode(launcher::TenantGroups{1, {DescriptorKind::memory}})),
      tagged(3, encode(launcher::Recovered{{launched, launched}})),
      tagged(4, encode(launcher::NetworkUsageReply{{{1, 2, 3, 4, 5}, {2, 3, 4, 5, 6}}})),
      tagged(5, encode(launcher::PostureReply{{{"seccomp", launcher::CheckState::enforced, "on"}}})),
      tagged(6, encode(launcher::DenialsReply{{{8, 3, "open", "/x", "sh"}}})),
      tagged(7, launcher::encodeFailure({"stage", "operation", "/path", 13})),
  };
  feed("launcherReply", launcherReply, seeds, 20'000);
}

TEST(FuzzCorpus, kernelLogRecords) {
  const std::string head = "5,1234,98765432,-;audit: type=1400 audit(1700000000.123:45): ";
  const std::vector<std::string> seeds = {
      head +
          "apparmor=\"DENIED\" operation=\"open\" profile=\"cloister-app-t00042\" name=\"/proc/sysrq-trigger\" pid=77 "
          "comm=\"sh\" requested_mask=\"w\" denied_mask=\"w\" fsuid=3276136 ouid=0\n SUBSYSTEM=x\n",
      head +
          "apparmor=\"DENIED\" operation=\"capable\" profile=\"cloister-build-t00001\" comm=2F61 "
          "capname=\"sys_admin\"\n",
      "6,1,0,-;Linux version 6.1.0\n",
  };
  feed("kernelLogRecord", kernelLogRecord, seeds, 20'000);
}

TEST(FuzzCorpus, compiledAppArmor) {
  feed("compiledAppArmor", compiledAppArmor, {policy::profileBlob("cloister-app-t99999", "-t99999")}, 20'000);
}

TEST(FuzzCorpus, cgroupFiles) {
  const auto tagged = [](char kind, const std::string& text) { return kind + text; };
  const std::vector<std::string> seeds = {
      tagged(0, "populated 1\nfrozen 0\n"),
      tagged(1, "t42"),
      tagged(2,
             "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
             "31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"),
      tagged(3, "1048576\n"),
      tagged(4, "usage_usec 5000\nuser_usec 4000\nsystem_usec 1000\nnr_throttled 2\nthrottled_usec 70\n"),
      tagged(5, "8:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n"),
      tagged(6, "8:0 Read 4096\n8:0 Write 8192\n8:0 Total 12288\nTotal 12288\n"),
  };
  feed("cgroupFile", cgroupFile, seeds, 20'000);
}

TEST(FuzzCorpus, netlinkMessages) {
  network::Encoder counter;
  counter.be64(NFTA_COUNTER_BYTES, 7);
  counter.be64(NFTA_COUNTER_PACKETS, 1);
  network::Encoder list;
  const auto elements = list.nest(NFTA_SET_ELEM_LIST_ELEMENTS);
  const auto element = list.nest(NFTA_LIST_ELEM);
  const auto key = list.nest(NFTA_SET_ELEM_KEY);
  list.be32(NFTA_DATA_VALUE, 42);
  list.close(key);
  const auto expression = list.nest(NFTA_SET_ELEM_EXPR);
  list.text(NFTA_EXPR_NAME, "counter");
  list.put(NFTA_EXPR_DATA | NLA_F_NESTED, counter.bytes());
  list.close(expression);
  list.close(element);
  list.close(elements);
  network::Encoder link;
  link.raw(network::bytesOf(ifinfomsg{}));
  link.text(IFLA_IFNAME, "cv10-7");
  link.u32(IFLA_GROUP, 7);
  link.put(IFLA_STATS64, std::string(sizeof(rtnl_link_stats64), '\1'));
  const std::vector<std::string> seeds = {std::string(1, '\0') + std::string(4, '\0') + list.bytes(),
                                          '\1' + link.bytes(), '\2' + link.bytes(), std::string("\3\0\6cloister", 11)};
  feed("netlinkMessage", netlinkMessage, seeds, 20'000);
}

TEST(FuzzCorpus, execReports) {
  ExecReport report{};
  copyText(report.stage, sizeof report.stage, "confine");
  copyText(report.operation, sizeof report.operation, "setresuid");
  copyText(report.path, sizeof report.path, "app");
  report.code = 1;
  const std::string whole(reinterpret_cast<const char*>(&report), sizeof report);
  feed("execReport", execReport, {whole, whole.substr(1), std::string(sizeof report, '\xff')}, 20'000);
}

TEST(FuzzCorpus, profiles) {
  std::vector<std::string> seeds = {
      "name = 't'\n[[allow]]\nreason = 'r'\ncalls = ['read', 'exit_group']\n",
      "name = 't'\n[[allow]]\nreason = 'r'\ncalls = ['ioctl']\nargument = 1\nmask = 0xff\nvalues = [1, 2]\n"
      "[[deny]]\nerrno = 'ENOTTY'\nreason = 'r'\ncalls = ['ioctl']\n",
      "name = 't'\ninherits = 'u'\n[[allow]]\nreason = 'r'\ncalls = ['socket']\n"
      "when = [{argument = 0, mask = 0xffffffff, equals = 1}, {argument = 1, mask = 0xf, equals = 2}]\n",
      "name = 't'\n[[deny]]\nerrno = 'EPERM'\nreason = 'r'\ncalls = ['mount']\n",
  };
  const auto freeze = files::read(std::string(CLOISTER_SOURCE_DIR) + "/policy/profiles/freeze.toml");
  ASSERT_TRUE(freeze.ok()) << freeze.error().message();
  seeds.push_back(*freeze);
  feed("profile", profile, seeds, 4'000);
}

}  // namespace
}  // namespace cloister::fuzz
