// The launcher as its caller sees it: what a container is given, what it is denied, what is left when it is gone.
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <set>
#include <sstream>
#include <string>

#include "policy/model/capabilities.h"
#include "sandbox/base/seqpacket.h"
#include "tests/integration/launcher/harness.h"

namespace cloister::test {
namespace {

using launcher::Confinement;
using ::testing::Test;

TEST_F(LauncherTest, AppIsAnOrdinaryUserWithoutCapabilitiesUnderAFilter) {
  const auto outcome = run(request("plain", "id -u; cat /proc/self/status"));
  EXPECT_EQ(outcome.status, "exit 0\n");
  EXPECT_EQ(outcome.output.substr(0, 5), "1000\n");
  for (const char* line : {"CapPrm:\t0000000000000000", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000",
                           "CapAmb:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"}) {
    EXPECT_NE(outcome.output.find(line), std::string::npos) << line << "\n" << outcome.output;
  }
}

TEST_F(LauncherTest, IdsAreTheTenantsOwnRange) {
  const auto outcome = run(request("ids", "cat /proc/self/uid_map /proc/self/gid_map"));
  const std::string first = std::to_string(firstUid(7));
  std::size_t seen = 0;
  for (std::size_t at = outcome.output.find(first); at != std::string::npos; at = outcome.output.find(first, at + 1))
    ++seen;
  EXPECT_EQ(seen, 2U) << outcome.output;
  EXPECT_NE(outcome.output.find("65536"), std::string::npos);
}

TEST_F(LauncherTest, NoDescriptorIsInherited) {
  // ls itself opens the directory as 3.
  EXPECT_EQ(run(request("fds", "ls /proc/self/fd")).output, "0\n1\n2\n3\n");
}

TEST_F(LauncherTest, LimitsAreTheRequestsOwn) {
  EXPECT_EQ(run(request("limits", "ulimit -n; ulimit -c; ulimit -l")).output, "128\n0\n64\n");
}

std::string statusLine(const std::string& status, const std::string& key) {
  const auto at = status.find("\n" + key + ":\t");
  if (at == std::string::npos) return "";
  const auto from = at + key.size() + 3;
  return status.substr(from, status.find('\n', from) - from);
}

TEST_F(LauncherTest, TheLauncherItselfKeepsFewCapabilities) {
  std::uint64_t named = 0;
  for (const unsigned capability : policy::launcherCapabilities()) {
    if (::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) == 1) named |= 1ULL << capability;
  }
  const std::string status = readWhole("/proc/" + std::to_string(launcher_) + "/status");
  for (const char* set : {"CapPrm", "CapEff", "CapBnd"}) {
    EXPECT_EQ(std::stoull(statusLine(status, set), nullptr, 16), named) << set;
  }
  EXPECT_EQ(statusLine(status, "CapInh"), "0000000000000000");
  EXPECT_EQ(statusLine(status, "CapAmb"), "0000000000000000");
}

TEST_F(LauncherTest, TheLauncherItselfIsFilteredAndItsContainersTwice) {
  const std::string status = readWhole("/proc/" + std::to_string(launcher_) + "/status");
  EXPECT_EQ(statusLine(status, "Seccomp"), "2");
  EXPECT_EQ(statusLine(status, "NoNewPrivs"), "1");
  const auto own = std::stoul(statusLine(status, "Seccomp_filters"));
  const auto outcome = run(request("twice", "cat /proc/self/status"));
  EXPECT_EQ(std::stoul(statusLine(outcome.output, "Seccomp_filters")), own + 1) << outcome.output;
}

// Whoever adds a parser, a database or a network library to the privileged process meets this list.
TEST_F(LauncherTest, TheLauncherLinksNothingThatParses) {
  const std::set<std::string> known = {"linux-vdso", "ld-linux-x86-64", "libc",        "libm",
                                       "libstdc++",  "libgcc_s",        "libapparmor", "libsodium"};
  ASSERT_EQ(shell("ldd " CLOISTER_LAUNCHER " | awk '{print $1}' | sed 's#.*/##; s/\\.so.*//' > " + path("libraries")),
            0);
  std::istringstream libraries(readWhole(path("libraries")));
  std::size_t count = 0;
  for (std::string library; std::getline(libraries, library); ++count) EXPECT_EQ(known.count(library), 1U) << library;
  EXPECT_GT(count, 3U);
}

TEST_F(LauncherTest, ExitStatusAndSignalsAreToldApart) {
  EXPECT_EQ(run(request("exits", "exit 3")).status, "exit 3\n");
  EXPECT_EQ(run(request("dies", "kill -9 $$")).status, "signal 9\n");
}

TEST_F(LauncherTest, AFailedStartSaysWhichStepAndLeavesNothing) {
  auto missing = request("missing", "");
  missing.argv = {"/no/such/program"};
  auto container = launch(missing);
  ASSERT_FALSE(container);
  EXPECT_EQ(container.error().stage, "init");
  EXPECT_EQ(container.error().operation, "execve");
  EXPECT_EQ(container.error().path, "/no/such/program");
  EXPECT_EQ(container.error().code, ENOENT);
  // Its name, address and group are free again.
  EXPECT_EQ(run(request("missing", "exit 0")).status, "exit 0\n");
}

TEST_F(LauncherTest, TheUpperIsCapped) {
  const auto outcome = run(request("full", "dd if=/dev/zero of=/app/big bs=1M count=16; stat -c %s /app/big"));
  EXPECT_TRUE(outcome.output.find("No space left on device") != std::string::npos ||
              outcome.output.find("quota exceeded") != std::string::npos)
      << outcome.output;
}

// Without attributes on the upper the new directory could not be told from the old one, and the kernel refuses it
// (EIO).
TEST_F(LauncherTest, ADirectoryMayReplaceOneOfALayer) {
  auto replaced = request("replace", "rm -r /app/old && mkdir /app/old && ls -A /app/old && echo empty");
  replaced.layers.insert(
      replaced.layers.begin(),
      makeLayer("old", "mkdir -p $ROOT/app/old; echo x >$ROOT/app/old/file; chown -R 1000:1000 $ROOT/app"));
  EXPECT_EQ(run(replaced).output, "empty\n");
}

TEST_F(LauncherTest, MemoryBeyondTheLimitEndsTheAppAlone) {
  auto greedy = request("greedy", "dd if=/dev/zero of=/dev/null bs=200M count=1");
  greedy.limits.memoryBytes = 32U << 20U;
  EXPECT_NE(run(greedy).status, "exit 0\n");
  EXPECT_EQ(run(request("after", "exit 0")).status, "exit 0\n");
}

TEST_F(LauncherTest, ForksBeyondTheLimitFail) {
  auto bomb = request("bomb", "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do sleep 5 & done; wait");
  bomb.limits.pids = 8;
  EXPECT_NE(run(bomb).output.find("fork"), std::string::npos);
}

TEST_F(LauncherTest, ABuildIsRootOfItsContainerAndItsUpperBecomesALayer) {
  auto build = request("bd-1", "id -u; mkdir /opt; echo made > /opt/file; touch /etc/mark; chown 1000:1000 /opt/file");
  build.confinement = Confinement::build;
  auto container = launch(build);
  ASSERT_TRUE(container) << container.error().message();
  ASSERT_TRUE(waitFor(container->descriptor(launcher::DescriptorKind::pid), 20));
  EXPECT_EQ(output("bd-1"), "0\n");

  auto freeze =
      request("bd-1-fz", "ls /upper/upper; cat /upper/upper/opt/file; echo x > /upper/upper/no; echo image >&3");
  freeze.confinement = Confinement::freeze;
  freeze.freezeOf = "bd-1";
  freeze.address = 0;
  const auto outcome = run(freeze);
  EXPECT_NE(outcome.output.find("opt\n"), std::string::npos) << outcome.output;
  EXPECT_NE(outcome.output.find("made\n"), std::string::npos) << outcome.output;
  EXPECT_NE(outcome.output.find("Read-only file system"), std::string::npos) << outcome.output;
  EXPECT_EQ(readWhole(path("bd-1-fz.image")), "image\n");
  EXPECT_TRUE(client_->remove("bd-1"));
}

// Owners of other systems: the file keeps the owner that it has, and its archive comes whole. Ids of the map are given.
TEST_F(LauncherTest, ABuildUnpacksFilesOfOwnersBeyondItsIds) {
  auto build =
      request("bd-1",
              "cd /tmp && echo x >f && busybox chown 7:8 f && busybox chown 70000:8 f && busybox chown 9:3000000000 f "
              "&& busybox stat -c %u:%g f && busybox chown :10 f && busybox chown 11 f && busybox stat -c %u:%g f "
              "&& cd / && busybox tar xpf /archive.tar && busybox stat -c %u:%g strange known");
  build.confinement = Confinement::build;
  build.layers.insert(
      build.layers.begin(),
      makeLayer("archive",
                "cd $ROOT && echo x >strange && echo x >known && chown 200000:100000 strange && "
                "chown 65534:33 known && busybox tar cf archive.tar strange known && rm strange known"));
  EXPECT_EQ(run(build).output, "7:8\n11:10\n0:0\n65534:33\n");
}

TEST_F(LauncherTest, LayersAreStackedTopmostFirst) {
  auto stacked = request("stack", "cat /app/who; ls /bin/busybox");
  stacked.layers.insert(stacked.layers.begin(), makeLayer("slug", "mkdir $ROOT/app; echo slug > $ROOT/app/who"));
  EXPECT_EQ(run(stacked).output, "slug\n/bin/busybox\n");
}

TEST_F(LauncherTest, BytesThatAreNotTheirDigestAreRefused) {
  const UniqueFd file(::open((path("base.erofs")).c_str(), O_RDONLY | O_CLOEXEC));
  const Status mounted = client_->mountLayer(std::string(64, 'a'), file.get());
  ASSERT_FALSE(mounted);
  EXPECT_EQ(mounted.error().code, EBADMSG);
}

TEST_F(LauncherTest, ALayerThatItHasNeedsNoBytes) {
  const std::string digest = makeLayer("slug", "mkdir $ROOT/app; echo slug > $ROOT/app/who");
  EXPECT_TRUE(client_->mountLayer(digest, -1).ok());
  const Status absent = client_->mountLayer(std::string(64, 'b'), -1);
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().code, ENOENT);
}

struct ForeignImage {
  const char* name;
  const char* change;  // of a good image in $IMAGE
  const char* why;
};
class ForeignImageTest : public LauncherTest, public ::testing::WithParamInterface<ForeignImage> {};

// Their digest is right, but they are not what mkfs.erofs makes for us: the kernel's own reader never sees them.
TEST_P(ForeignImageTest, IsRefused) {
  const std::string image = path("foreign");
  const std::string put = "put() { printf \"$2\" | dd of=$IMAGE bs=1 seek=$1 conv=notrunc 2>/dev/null; }; ";
  ASSERT_EQ(shell("IMAGE=" + image + "; cp " + path("base.erofs") + " $IMAGE; " + put + GetParam().change), 0);
  ASSERT_EQ(shell("sha256sum " + image + " | cut -c1-64 | tr -d '\\n' >" + path("foreign.sum")), 0);
  const UniqueFd file(::open(image.c_str(), O_RDONLY | O_CLOEXEC));
  const Status mounted = client_->mountLayer(readWhole(path("foreign.sum")), file.get());
  ASSERT_FALSE(mounted);
  EXPECT_EQ(mounted.error().code, EPROTO) << mounted.error().message();
  EXPECT_EQ(mounted.error().operation, std::string("check image: ") + GetParam().why);
  EXPECT_NE(::access(path("store/" + readWhole(path("foreign.sum"))).c_str(), F_OK), 0) << "the launcher kept it";
}

INSTANTIATE_TEST_SUITE_P(Layers, ForeignImageTest,
                         ::testing::Values(ForeignImage{"Empty", ": >$IMAGE", "not erofs"},
                                           ForeignImage{"OtherFileSystem", "put 1024 hsqs", "not erofs"},
                                           ForeignImage{"WithoutChecksum", "put 1032 '\\0'", "no checksum"},
                                           ForeignImage{"LargeBlocks", "put 1036 '\\016'", "blocks are not of 4 KiB"},
                                           ForeignImage{"CutShort", "truncate -s -4096 $IMAGE", "not its own length"},
                                           ForeignImage{"Longer", "truncate -s +1 $IMAGE", "not its own length"},
                                           ForeignImage{"Fragments", "put 1104 '\\043'", "unknown features"},
                                           ForeignImage{"Lzma", "put 1104 '\\003'; put 1108 '\\003'",
                                                        "compressed, and not by LZ4"},
                                           ForeignImage{"OtherDevices", "put 1110 '\\001'", "data on other devices"}),
                         [](const auto& instance) { return instance.param.name; });

struct HostileLayer {
  const char* name;
  const char* script;
};
class HostileLayerTest : public LauncherTest, public ::testing::WithParamInterface<HostileLayer> {};

// A link where a mount or a file of ours goes: the launch may fail, nothing outside the container may change.
TEST_P(HostileLayerTest, LeadsNowhere) {
  auto hostile = request("hostile", "exit 0");
  hostile.layers.insert(hostile.layers.begin(), makeLayer("evil", GetParam().script));
  const std::string before = readWhole("/etc/hostname") + readWhole("/etc/hosts") + readWhole("/etc/resolv.conf");
  auto container = launch(hostile);
  if (container) {
    (void)finish("hostile", *container);
  } else {
    EXPECT_EQ(container.error().stage, "files") << container.error().message();
  }
  EXPECT_EQ(readWhole("/etc/hostname") + readWhole("/etc/hosts") + readWhole("/etc/resolv.conf"), before);
  EXPECT_NE(::access("/tmp/cloister-escape", F_OK), 0);
}

INSTANTIATE_TEST_SUITE_P(
    Layers, HostileLayerTest,
    ::testing::Values(HostileLayer{"ProcLink", "ln -s /tmp $ROOT/proc"},
                      HostileLayer{"DevLink", "ln -s /tmp $ROOT/dev"}, HostileLayer{"SysLink", "ln -s / $ROOT/sys"},
                      HostileLayer{"EtcLink", "ln -s /tmp $ROOT/etc"},
                      HostileLayer{"HostsLink", "mkdir $ROOT/etc; ln -s /tmp/cloister-escape $ROOT/etc/hosts"},
                      HostileLayer{"ProcFile", "touch $ROOT/proc"}, HostileLayer{"EtcLoop", "ln -s etc $ROOT/etc"}),
    [](const auto& instance) { return instance.param.name; });

TEST_F(LauncherTest, ExecJoinsTheContainerAndIsHardenedTheSame) {
  auto container = launch(request("host", "sleep 30"));
  ASSERT_TRUE(container) << container.error().message();
  const auto outcome =
      exec("host", {"/bin/sh", "-c", "id -u; readlink /proc/self/ns/net; cat /proc/self/status; ls /proc/self/fd"});
  EXPECT_EQ(outcome.status, "exit 0\n");
  const std::string& text = outcome.output;
  EXPECT_EQ(text.substr(0, 5), "1000\n");
  EXPECT_NE(text.find("CapEff:\t0000000000000000"), std::string::npos) << text;
  EXPECT_NE(text.find("Seccomp:\t2"), std::string::npos) << text;
  EXPECT_EQ(text.substr(text.size() - 8), "0\n1\n2\n3\n");
  EXPECT_TRUE(client_->signal({"host", SIGTERM, launcher::SignalTarget::init}));
  EXPECT_EQ(finish("host", *container).status, "signal 15\n");
}

TEST_F(LauncherTest, AFrozenContainerStandsStillThawsAndCanBeRemoved) {
  auto container = launch(request("still", "while :; do echo x; done"));
  ASSERT_TRUE(container) << container.error().message();
  const auto grows = [&] {
    const auto before = output("still").size();
    ::usleep(100'000);
    return output("still").size() != before;
  };
  const auto becomes = [&](bool wanted) {
    for (int turn = 0; turn < 50; ++turn) {
      if (grows() == wanted) return true;
    }
    return false;
  };
  EXPECT_FALSE(client_->signal({"still", SIGTERM, launcher::SignalTarget::freeze})) << "freezing sends no signal";
  ASSERT_TRUE(client_->signal({"still", 0, launcher::SignalTarget::freeze}));
  EXPECT_TRUE(becomes(false));
  ASSERT_TRUE(client_->signal({"still", 0, launcher::SignalTarget::thaw}));
  EXPECT_TRUE(becomes(true));
  ASSERT_TRUE(client_->signal({"still", 0, launcher::SignalTarget::freeze}));
  EXPECT_TRUE(client_->remove("still"));
}

TEST_F(LauncherTest, ContainersOutliveTheLauncherAndAreFoundAgain) {
  auto container = launch(request("survivor", "sleep 60"));
  ASSERT_TRUE(container) << container.error().message();
  killLauncher(SIGKILL);
  EXPECT_FALSE(waitFor(container->descriptor(launcher::DescriptorKind::pid), 0));
  startLauncher();
  auto found = client_->recover();
  ASSERT_TRUE(found) << found.error().message();
  ASSERT_EQ(found->size(), 1U);
  EXPECT_EQ(found->front().launched.instance, "survivor");
  EXPECT_EQ(found->front().launched.pid, container->launched.pid);
  EXPECT_EQ(found->front().launched.cgroupInode, container->launched.cgroupInode);
  auto again = launch(request("survivor", "exit 0"));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, EEXIST);
  EXPECT_TRUE(client_->remove("survivor"));
  EXPECT_TRUE(waitFor(container->descriptor(launcher::DescriptorKind::pid), 5));
  // The layer store was kept: the base need not be sent again.
  EXPECT_EQ(run(request("next", "exit 0")).status, "exit 0\n");
}

TEST_F(LauncherTest, AContainerThatEndedIsFoundUntilItIsRemoved) {
  auto container = launch(request("ended", "exit 0"));
  ASSERT_TRUE(container) << container.error().message();
  ASSERT_TRUE(waitFor(container->descriptor(launcher::DescriptorKind::pid), 5));
  auto found = client_->recover();
  ASSERT_TRUE(found) << found.error().message();
  ASSERT_EQ(found->size(), 1U) << "its last reading is still to be made";
  EXPECT_EQ(found->front().launched.cgroupInode, container->launched.cgroupInode);
  EXPECT_LT(found->front().descriptor(launcher::DescriptorKind::pid), 0);
  EXPECT_GE(found->front().descriptor(launcher::DescriptorKind::unified), 0);
  ASSERT_TRUE(client_->remove("ended"));
  found = client_->recover();
  ASSERT_TRUE(found) << found.error().message();
  EXPECT_TRUE(found->empty());
}

TEST_F(LauncherTest, PurgeEndsWhatRuns) {
  auto container = launch(request("running", "sleep 60"));
  ASSERT_TRUE(container) << container.error().message();
  killLauncher(SIGTERM);
  EXPECT_EQ(purge(), 0);
  EXPECT_TRUE(waitFor(container->descriptor(launcher::DescriptorKind::pid), 5));
  EXPECT_TRUE(groups().empty());
}

TEST_F(LauncherTest, WhatIsNoRequestEndsTheSession) {
  wire::Writer unknown;
  unknown.put(std::uint16_t{999});
  const std::string good = launcher::encode(launcher::Verb::posture);
  const std::vector<std::string> hostile = {unknown.bytes(), "x", good + "tail",
                                            launcher::encode(launcher::RemoveRequest{"a"}) + "t",
                                            std::string(100'000, '\xff')};
  for (const auto& bytes : hostile) {
    auto socket = seqpacket::connect(path("run") + "/launcher.sock");
    ASSERT_TRUE(socket);
    ASSERT_TRUE(seqpacket::send(socket->get(), bytes, {}));
    auto reply = seqpacket::receive(socket->get());
    EXPECT_TRUE(!reply || reply->bytes.empty());
  }
  EXPECT_TRUE(client_->posture());
}

TEST_F(LauncherTest, RequestsAboveTheCeilingNameTheField) {
  auto stranger = request("stranger", "exit 0");
  stranger.address = subnetOf(8) + 10;
  auto refused = launch(stranger);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().path, "address");
  auto climbing = request("../../evil", "exit 0");
  refused = launch(climbing);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().path, "instance");
  auto unbounded = request("unbounded", "exit 0");
  unbounded.limits.diskBytes = 0;
  refused = launch(unbounded);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().path, "limits.diskBytes");
}

}  // namespace
}  // namespace cloister::test
