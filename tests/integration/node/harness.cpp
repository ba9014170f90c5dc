#include "tests/integration/node/harness.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "controlplane/node/log_store.h"
#include "controlplane/node/sha256.h"
#include "sandbox/base/identity.h"

namespace cloister::test {
namespace {

namespace fs = std::filesystem;

constexpr uid_t kNodeUser = 64'123;  // no one's
constexpr TenantIndex kTenant = 9;

std::string readWhole(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

void shell(const std::string& command) {
  const int status = std::system(("set -e; " + command).c_str());
  ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << command;
}

constexpr const char* kBaseScript = R"(
mkdir -p $ROOT/bin $ROOT/usr/bin $ROOT/etc $ROOT/proc $ROOT/dev $ROOT/sys $ROOT/tmp $ROOT/app $ROOT/root
cp /bin/busybox $ROOT/bin/
for a in sh cat id ls dd sleep echo mkdir kill ps wc head env httpd tar gzip gunzip chown touch printf tty true false seq stty rm find test
do ln -s busybox $ROOT/bin/$a; done
chmod 1777 $ROOT/tmp
printf 'root:x:0:0::/root:/bin/sh\napp:x:1000:1000::/app:/bin/sh\n' > $ROOT/etc/passwd
printf 'root:x:0:\napp:x:1000:\n' > $ROOT/etc/group
chown 1000:1000 $ROOT/app
cp /usr/bin/mkfs.erofs $ROOT/usr/bin/
for l in $(ldd /usr/bin/mkfs.erofs | grep -o '/[^ ]*') $(ls /lib/*-linux-gnu/libgcc_s.so.1); do mkdir -p $ROOT$(dirname $l); cp -L $l $ROOT$l; done
mkfs.erofs --quiet $IMAGE $ROOT >/dev/null
)";

}  // namespace

void NodeTest::SetUp() {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  if (::access("/usr/bin/mkfs.erofs", X_OK) != 0 || ::access("/bin/busybox", X_OK) != 0) {
    GTEST_SKIP() << "needs erofs-utils and busybox-static";
  }
  std::string pattern = "/tmp/cloister-node-XXXXXX";
  ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
  directory_ = pattern;
  fs::permissions(directory_, static_cast<fs::perms>(0755));
  cgroupRoot_ = "cloister-node-test-" + std::to_string(::getpid());
  server_ = std::make_unique<FakeServer>(path("node-api.sock"));
  shell(CLOISTER_UPPER_POOL " " + path("pool") + " 512");
  shell("ROOT=" + path("base") + "; IMAGE=" + path("base.erofs") + "; export ROOT IMAGE; " + kBaseScript);
  shell("mkdir " + path("src") + "; echo from-source > " + path("src/file.txt") + "; tar -czf " + path("src.tar.gz") +
        " -C " + path("src") + " .");
  base_ = node::sha256OfFile(path("base.erofs"));
  source_ = node::sha256OfFile(path("src.tar.gz"));
  server_->addBlob(base_, readWhole(path("base.erofs")));
  server_->addBlob(source_, readWhole(path("src.tar.gz")));
  ASSERT_EQ(::mkdir(path("state").c_str(), 0755), 0);
  ASSERT_EQ(::chown(path("state").c_str(), kNodeUser, kNodeUser), 0);
  std::ofstream(path("token")) << "clst_test\n";
  startLauncher();
  startNode();
}

void NodeTest::startLauncher() {
  std::array<int, 2> ready{};
  ASSERT_EQ(::pipe2(ready.data(), O_CLOEXEC), 0);
  UniqueFd readEnd(ready[0]);
  UniqueFd writeEnd(ready[1]);
  const bool first = !netns_.valid();
  launcher_ = ::fork();
  ASSERT_GE(launcher_, 0);
  if (launcher_ == 0) {
    if ((first ? ::unshare(CLONE_NEWNET) : ::setns(netns_.get(), CLONE_NEWNET)) != 0) ::_exit(90);
    ::dup2(writeEnd.get(), 1);
    const std::string run = path("run");
    const std::string store = path("store");
    const std::string user = std::to_string(kNodeUser);
    const std::string pool = path("pool");
    ::execl(CLOISTER_LAUNCHER, "cloister-launcher", "--run", run.c_str(), "--store", store.c_str(), "--cgroup-root",
            cgroupRoot_.c_str(), "--pool", pool.c_str(), "--allow-uid", user.c_str(), "--allow-gid", user.c_str(),
            nullptr);
    ::_exit(91);
  }
  writeEnd.reset();
  char byte = 0;
  ASSERT_EQ(::read(readEnd.get(), &byte, 1), 1) << "the launcher did not start";
  if (first) netns_.reset(::open(("/proc/" + std::to_string(launcher_) + "/ns/net").c_str(), O_RDONLY | O_CLOEXEC));
}

void NodeTest::startNode() {
  const UniqueFd log(::open(path("node.log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  node_ = ::fork();
  ASSERT_GE(node_, 0);
  if (node_ != 0) return;
  ::dup2(log.get(), 1);
  ::dup2(log.get(), 2);
  // Opened by root: the build may lie where no other user may enter.
  const int program = ::open(CLOISTER_NODE, O_PATH | O_CLOEXEC);
  if (::setns(netns_.get(), CLONE_NEWNET) != 0 || ::setgroups(0, nullptr) != 0 || ::setgid(kNodeUser) != 0 ||
      ::setuid(kNodeUser) != 0) {
    ::_exit(90);
  }
  const std::string state = path("state");
  const std::string server = "unix:" + path("node-api.sock");
  const std::string token = path("token");
  const std::string socket = path("run") + "/launcher.sock";
  const std::string store = path("store");
  std::vector<std::string> words{"cloister-node", "--state",           state,  "--server",      server, "--token-file",
                                 token,           "--launcher-socket", socket, "--layer-store", store,  "--name",
                                 "test",          "--log-level",       "debug"};
  std::vector<char*> arguments;
  for (auto& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  ::fexecve(program, arguments.data(), environ);
  ::_exit(91);
}

void NodeTest::endProcess(pid_t& process, int signal) {
  ASSERT_GT(process, 0);
  ASSERT_EQ(::kill(process, signal), 0);
  ASSERT_EQ(::waitpid(process, nullptr, 0), process);
  process = -1;
}

void NodeTest::TearDown() {
  if (directory_.empty()) return;
  if (HasFailure()) std::fputs(nodeLog().c_str(), stderr);
  if (node_ > 0 && launcher_ > 0) {
    server_->want(work());
    for (int i = 0; i < 200 && !containers().empty(); ++i) ::usleep(100'000);
    EXPECT_TRUE(containers().empty());
  }
  if (node_ > 0) endProcess(node_, SIGTERM);
  server_.reset();
  if (launcher_ > 0) endProcess(launcher_, SIGTERM);
  const pid_t purge = ::fork();
  if (purge == 0) {
    if (::setns(netns_.get(), CLONE_NEWNET) != 0) ::_exit(90);
    const std::string run = path("run");
    const std::string store = path("store");
    const std::string pool = path("pool");
    ::execl(CLOISTER_LAUNCHER, "cloister-launcher", "--purge", "--run", run.c_str(), "--store", store.c_str(),
            "--cgroup-root", cgroupRoot_.c_str(), "--pool", pool.c_str(), nullptr);
    ::_exit(91);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(purge, &status, 0), purge);
  EXPECT_EQ(status, 0) << "purge";
  fs::remove_all(directory_);
}

model::NodeWork NodeTest::work() const {
  model::NodeWork work;
  work.certified = true;
  model::DesiredTenant tenant;
  tenant.id = "tn-1";
  tenant.name = "acme";
  tenant.index = kTenant;
  tenant.limits.memoryBytes = 512UL << 20U;
  tenant.limits.buildMemoryBytes = 256UL << 20U;
  tenant.limits.cpuMillis = 2000;
  tenant.limits.pids = 512;
  work.tenants.push_back(tenant);
  work.keepBlobs.push_back(base_);
  return work;
}

model::DesiredInstance NodeTest::instance(const std::string& id, const std::string& command, std::uint32_t host) const {
  model::DesiredInstance instance;
  instance.id = id;
  instance.tenantId = "tn-1";
  instance.appId = "ap-1";
  instance.app = "shop";
  instance.process = "web";
  instance.command = command;
  instance.layers = {base_};
  instance.limits = {64UL << 20U, 1000, 64, 16UL << 20U, 1024};
  instance.address = subnetOf(kTenant) + host;
  return instance;
}

model::DesiredBuild NodeTest::build(const std::string& id, std::vector<std::string> commands,
                                    std::uint32_t host) const {
  model::DesiredBuild build;
  build.id = id;
  build.tenantId = "tn-1";
  build.appId = "ap-1";
  build.sourceDigest = source_;
  build.baseDigest = base_;
  build.commands = std::move(commands);
  build.limits = {128UL << 20U, 1000, 64, 32UL << 20U, 4096};
  build.timeoutSeconds = 30;
  build.address = subnetOf(kTenant) + host;
  return build;
}

std::string NodeTest::sourceOf(const std::string& script, const std::string& directory) const {
  const std::string archive = path(directory + ".tar.gz");
  shell("cd " + directory_ + "; " + script + "; tar -czf " + archive + " -C " + directory + " .");
  const auto digest = node::sha256OfFile(archive);
  server_->addBlob(digest, readWhole(archive));
  return digest;
}

model::Session NodeTest::session(const std::string& id, model::SessionKind kind) const {
  model::Session session;
  session.id = id;
  session.kind = kind;
  session.tenantId = "tn-1";
  session.appId = "ap-1";
  return session;
}

std::vector<std::string> NodeTest::logLines(const std::string& id, const std::string& stream) const {
  node::LogReader reader(path("state/node/instances/" + id + "/log"));
  std::vector<std::string> lines;
  for (const auto& json : node::recentLines(reader, 0, -1)) {
    const auto line = model::logLineFromJson(json);
    if (line.stream == stream) lines.push_back(line.line);
  }
  return lines;
}

std::vector<std::string> NodeTest::containers() const {
  std::vector<std::string> found;
  for (const std::string mount : {"/sys/fs/cgroup/unified/", "/sys/fs/cgroup/"}) {
    const fs::path tenant = mount + cgroupRoot_ + "/t" + std::to_string(kTenant);
    std::error_code code;
    for (const auto& entry : fs::directory_iterator(tenant, code)) {
      if (entry.is_directory()) found.push_back(entry.path().filename());
    }
    if (fs::exists(tenant)) break;
  }
  return found;
}

std::string NodeTest::nodeLog() const {
  return readWhole(path("node.log"));
}

}  // namespace cloister::test
