// Attacks on what lies next to a container: the launcher that enters it, its init, processes, sockets and packets of
// the host and of a neighbour, and what an earlier owner of the same ids left.
#include <fcntl.h>
#include <net/ethernet.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "sandbox/base/streams.h"
#include "tests/escape/arena.h"
#include "tests/integration/network/packets.h"
#include "tests/integration/network/world.h"

namespace cloister::test {
namespace {

using network::test::Sniffer;

class Processes : public Arena {
 protected:
  void attackInEveryRole(const std::string& name, const std::vector<std::string>& arguments = {}) {
    for (const Role role : kRoles) {
      SCOPED_TRACE(nameOf(role));
      attack(name, role, arguments);
    }
  }
  Running startNeighbour(const std::string& command = "sleep 600") {
    auto request = this->request("neighbour", command);
    request.tenant = neighbour_;
    request.address = subnetOf(neighbour_) + 10;
    return startRequest(request);
  }
  static bool alive(pid_t pid) { return pid > 0 && std::filesystem::exists("/proc/" + std::to_string(pid)); }
};

TEST_F(Processes, NoDescriptorOrDirectoryOfTheLauncherIsLeft) {
  attackInEveryRole("leaked_descriptors");
}

TEST_F(Processes, InitIsNotTheTenants) {
  attackInEveryRole("init_takeover");
}

// CVE-2019-5736. Each exec is a new process of the launcher's in the container, and starts what it was asked to: first
// a program of the image, then "/proc/self/exe", the very program that starts it.
TEST_F(Processes, WhoeverEntersIsNotOverwritten) {
  for (const Role role : kLaunched) {
    SCOPED_TRACE(nameOf(role));
    const Running watcher = start("runtime_overwrite", role, {"4"});
    ASSERT_TRUE(says(watcher, "watching"));
    int entries = 0;
    for (int round = 0; !waitFor(watcher.pidfd.get(), 0) && round < 200; ++round) {
      launcher::ExecRequest enter;
      enter.instance = watcher.instance;
      enter.exec = "enter-" + std::to_string(round);
      enter.argv = {round % 2 == 0 ? "/proc/self/exe" : "/bin/id", "app", "/bin/id"};
      enter.workingDirectory = "/";
      const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
      auto entered = client_->exec(enter, {null.get(), null.get(), null.get(), null.get(), -1});
      if (!entered) break;  // the watcher has ended meanwhile
      ++entries;
      EXPECT_TRUE(waitFor(entered->pidfd.get(), 20));
    }
    EXPECT_GE(entries, 5);
    expectHeld(watcher);
    expectRemoved(watcher);
    attack("leaked_descriptors", role);  // what was to be overwritten still starts containers
  }
}

TEST_F(Processes, ChrootLeadsNowhere) {
  for (const Role role : kRoles) attack("chroot_breakout", role, {directory_});
}

// CVE-2024-21626. The launcher may refuse such a directory; where it does not, the program lies inside.
TEST_F(Processes, NoWorkingDirectoryLeadsOut) {
  const Running host = start("working_directory", Role::exec, {directory_});
  expectHeld(host);
  std::vector<std::string> directories = {"/proc/1/cwd", "/proc/1/root", "/proc/self/cwd", "/proc/thread-self/root",
                                          "/dev/fd",     "/dev/fd/..",   "/proc/self/ns",  "/../../../.."};
  for (int fd = 0; fd < 80; ++fd) directories.push_back("/proc/self/fd/" + std::to_string(fd));
  for (int fd = 3; fd < 80; ++fd) directories.push_back("/proc/self/fd/" + std::to_string(fd) + "/../../..");
  int inside = 0;
  int entered = 0;
  for (const auto& directory : directories) {
    SCOPED_TRACE(directory);
    launcher::ExecRequest request;
    request.instance = host.instance;
    request.exec = "enter-" + std::to_string(++entered);
    request.argv = {"/attack/working_directory", directory_};
    request.workingDirectory = directory;
    const std::string out = path("cwd.out");
    const UniqueFd in(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    const UniqueFd text(::open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    const UniqueFd status(::open(path("cwd.status").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    auto handle = client_->exec(request, {in.get(), text.get(), text.get(), status.get(), -1});
    if (!handle) continue;
    ++inside;
    ASSERT_TRUE(waitFor(handle->pidfd.get(), 20));
    EXPECT_EQ(readWhole(path("cwd.status")), "exit 0\n") << readWhole(out);
  }
  EXPECT_GE(inside, 1) << "the attack itself is broken";
  expectRemoved(host);
}

// CVE-2024-21626 and CVE-2021-30465 as races: the app exchanges directories and links while the launcher enters them,
// and freezes a build whose root does the same.
TEST_F(Processes, ExchangedDirectoriesLeadNowhere) {
  for (const char* target : {"/proc/self/fd/3/../..", "/proc/1/root/proc/sys", "../../../../../../../../tmp"}) {
    SCOPED_TRACE(target);
    auto request = attackRequest("swap_directory", Role::build, {target});
    request.layers.insert(
        request.layers.begin(),
        makeLayer("probe-" + std::to_string(target[0]) + std::to_string(target[6]),
                  "mkdir -p $ROOT/attack; cp " CLOISTER_ATTACKS "working_directory $ROOT/attack/working_directory"));
    const Running racer = startRequest(request);
    ASSERT_TRUE(racer.container);
    ASSERT_TRUE(says(racer, "racing"));
    for (int round = 0; round < 40; ++round) {
      launcher::ExecRequest enter;
      enter.instance = racer.instance;
      enter.exec = "enter-" + std::to_string(round);
      enter.argv = {"/attack/working_directory", directory_};
      enter.workingDirectory = round % 2 == 0 ? "/app/work" : "/tmp/work";
      const std::string out = path("race.out");
      const UniqueFd in(::open("/dev/null", O_RDONLY | O_CLOEXEC));
      const UniqueFd text(::open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
      const UniqueFd status(::open(path("race.status").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
      auto handle = client_->exec(enter, {in.get(), text.get(), text.get(), status.get(), -1});
      if (!handle) continue;
      ASSERT_TRUE(waitFor(handle->pidfd.get(), 20));
      const std::string said = readWhole(out);
      EXPECT_EQ(said.find("escaped"), std::string::npos) << said;
    }
    for (int round = 0; round < 5; ++round) {
      auto freeze = this->request("freeze-" + std::to_string(round), "cat /upper/upper/etc/hostname; echo done");
      freeze.tenant = attacker_;
      freeze.confinement = launcher::Confinement::freeze;
      freeze.freezeOf = racer.instance;
      freeze.address = 0;
      const auto outcome = run(freeze);
      EXPECT_NE(outcome.output.find("done"), std::string::npos) << outcome.output;
    }
    expectRemoved(racer);
  }
}

TEST_F(Processes, StrangersAreNotThere) {
  const Running neighbour = startNeighbour();
  ASSERT_TRUE(neighbour.container);
  const auto neighbourPid = static_cast<pid_t>(neighbour.container->launched.pid);
  for (const Role role : kLaunched) {
    SCOPED_TRACE(nameOf(role));
    const Running attacker =
        start("stranger_processes", role,
              {std::to_string(launcher_), std::to_string(neighbourPid), std::to_string(::getpid())});
    EXPECT_TRUE(waitFor(attacker.pidfd.get(), 60));
    const std::string said = readWhole(attacker.output);
    EXPECT_TRUE(said.ends_with("held\n")) << said;
    expectRemoved(attacker);
    EXPECT_TRUE(alive(launcher_));
    EXPECT_FALSE(waitFor(neighbour.pidfd.get(), 0)) << "the neighbour died";
  }
  expectRemoved(neighbour);
}

int listenAbstract(const std::string& name) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::copy(name.begin(), name.end(), address.sun_path + 1);
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  EXPECT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&address), size), 0);
  EXPECT_EQ(::listen(fd, 8), 0);
  return fd;
}

TEST_F(Processes, AbstractSocketsEndAtTheNamespace) {
  const Running neighbour = startNeighbour();
  ASSERT_TRUE(neighbour.container);
  const std::string name = "cloister-" + std::to_string(::getpid());
  const UniqueFd ofTheHost(listenAbstract(name + "-host"));
  const UniqueFd ofTheLauncher(network::test::inside(netns_, [&] { return listenAbstract(name + "-launcher"); }));
  const UniqueFd space(::fcntl(neighbour.container->descriptor(launcher::DescriptorKind::netns), F_DUPFD_CLOEXEC, 0));
  const UniqueFd ofTheNeighbour(network::test::inside(space, [&] { return listenAbstract(name + "-neighbour"); }));
  attackInEveryRole("abstract_sockets", {name + "-host", name + "-launcher", name + "-neighbour"});
  for (const UniqueFd* server : {&ofTheHost, &ofTheLauncher, &ofTheNeighbour}) {
    EXPECT_FALSE(waitFor(server->get(), 0)) << "somebody connected";
  }
  expectRemoved(neighbour);
}

TEST_F(Processes, PacketsBearNoOthersName) {
  const Running neighbour = startNeighbour();
  ASSERT_TRUE(neighbour.container);
  const UniqueFd space(::fcntl(neighbour.container->descriptor(launcher::DescriptorKind::netns), F_DUPFD_CLOEXEC, 0));
  const std::string bridge = bridgeName(attacker_);
  Sniffer atTheHost(netns_, bridge.c_str());
  Sniffer atTheNeighbour(space, "eth0");
  const std::string victim = formatIpv4(subnetOf(neighbour_) + 10);
  const std::string gateway = formatIpv4(gatewayOf(attacker_));
  attackInEveryRole("forged_packets", {victim, gateway});
  EXPECT_FALSE(atTheHost.sees("forged-frame", network::test::kSilence));
  EXPECT_FALSE(atTheNeighbour.sees("forged-frame", network::test::kSilence));

  // And if a program had found a way around all of that, at the wire: as root of the attacker's network.
  const auto request = attackRequest("forged_packets", Role::exec);
  const Running attacker = startRequest(request);
  ASSERT_TRUE(attacker.container);
  const UniqueFd wire(::fcntl(attacker.container->descriptor(launcher::DescriptorKind::netns), F_DUPFD_CLOEXEC, 0));
  using network::test::arp;
  using network::test::ethernet;
  using network::test::udp4;
  const auto own = network::macOf(request.address);
  const auto router = network::macOf(gatewayOf(attacker_));
  const Ipv4 target = subnetOf(neighbour_) + 10;
  const std::string frames[] = {
      ethernet(router, own, ETHERTYPE_IP, udp4(target, gatewayOf(attacker_), 9000, "forged-frame")),
      ethernet(router, own, ETHERTYPE_IP, udp4(request.address, target, 9000, "forged-frame")),
      ethernet(router, network::macOf(target), ETHERTYPE_IP, udp4(request.address, target, 9000, "forged-frame")),
      ethernet(network::test::kBroadcast, own, ETHERTYPE_ARP,
               arp(own, gatewayOf(attacker_), request.address) + "forged-frame"),
      ethernet(network::test::kBroadcast, own, ETHERTYPE_IPV6,
               network::test::udp6(std::string("\xff\x02", 2) + std::string(13, '\0') + '\x01', 9000, "forged-frame"))};
  for (const auto& frame : frames) network::test::inject(wire, "eth0", frame);
  EXPECT_FALSE(atTheNeighbour.sees("forged-frame", network::test::kSilence));
  expectRemoved(attacker);
  expectRemoved(neighbour);
}

TEST_F(Processes, NoPortOfANeighbourOrOfTheHostAnswers) {
  const Running neighbour = startNeighbour();
  ASSERT_TRUE(neighbour.container);
  const UniqueFd space(::fcntl(neighbour.container->descriptor(launcher::DescriptorKind::netns), F_DUPFD_CLOEXEC, 0));
  const Ipv4 address = subnetOf(neighbour_) + 10;
  const auto server = network::test::listenTcp(space, address, 8080);
  const auto datagrams = network::test::bindUdp(space, address, 8080);
  const auto host = network::test::listenTcp(netns_, 0, 7070);
  const auto hostDatagrams = network::test::bindUdp(netns_, 0, 7070);
  EXPECT_EQ(network::test::connectTcp(netns_, address, 8080), 0) << "control: the edge on the host does";
  putTenant(attacker_, launcher::Egress::internet);
  attackInEveryRole("reach_neighbour",
                    {formatIpv4(address), "8080", formatIpv4(gatewayOf(attacker_)), "7070",
                     formatIpv4(gatewayOf(neighbour_)), "7070", "169.254.1.1", "7070", "169.254.169.254", "80"});
  EXPECT_EQ(network::test::receive(datagrams, network::test::kSilence), "");
  EXPECT_EQ(network::test::receive(hostDatagrams, network::test::kSilence), "");
  expectRemoved(neighbour);
}

// A tenant goes, and its range of ids is given to the next.
TEST_F(Processes, NothingOfAnEarlierOwnerIsFound) {
  for (const Role role : kLaunched) {
    SCOPED_TRACE(nameOf(role));
    attack("old_ids", role, {"leave"});
    ASSERT_TRUE(client_->removeTenant(attacker_));
    expectNoProcessOf(attacker_);
    const std::string range = std::to_string(firstUid(attacker_) + (role == Role::app ? kAppUid : 0));
    for (const char* list : {"/proc/sysvipc/shm", "/proc/sysvipc/sem", "/proc/sysvipc/msg", "/proc/keys"}) {
      EXPECT_EQ(readWhole(list).find(range), std::string::npos) << list;
    }
    EXPECT_EQ(shell("! find " + directory_ + "/run " + directory_ + "/store -xdev -uid " + range + " | grep ."), 0);
    putTenant(attacker_);
    attack("old_ids", role, {"find"});
  }
}

// TIOCSTI and its like, through a session whose terminal is the operator's.
TEST_F(Processes, NobodyTypesIntoTheOperatorsTerminal) {
  const Running host = start("terminal_injection", Role::exec);
  (void)waitFor(host.pidfd.get(), 20);  // without a terminal it has nothing to do
  launcher::ExecRequest request;
  request.instance = host.instance;
  request.exec = "operator";
  request.argv = {"/attack/terminal_injection"};
  request.workingDirectory = "/";
  request.terminal = {24, 80};
  const UniqueFd status(::open(path("tty.status").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  auto handle = client_->exec(request, {-1, -1, -1, status.get(), -1});
  ASSERT_TRUE(handle) << handle.error().message();
  const auto follower = streams::openFollower(handle->terminal.get());
  ASSERT_TRUE(follower);
  ASSERT_TRUE(waitFor(handle->pidfd.get(), 20));
  // A terminal hands over 4 KiB at a time, and not at once.
  std::string said;
  for (int tries = 0; tries < 200 && !said.ends_with("held\r\n"); ++tries) {
    int more = 0;
    ASSERT_EQ(::ioctl(handle->terminal.get(), FIONREAD, &more), 0);
    if (more == 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      continue;
    }
    std::string piece(4'096, '\0');
    const auto got = streams::readSome(handle->terminal.get(), piece.data(), piece.size());
    ASSERT_TRUE(got && got->has_value());
    said.append(piece, 0, **got);
  }
  EXPECT_EQ(readWhole(path("tty.status")), "exit 0\n") << said;
  EXPECT_TRUE(said.ends_with("held\r\n")) << said;
  // What was typed would wait here for the next reader.
  int waiting = 0;
  ASSERT_EQ(::ioctl(follower->get(), FIONREAD, &waiting), 0);
  EXPECT_EQ(waiting, 0);
  expectRemoved(host);
}

}  // namespace
}  // namespace cloister::test
