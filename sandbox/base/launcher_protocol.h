// What cloister-launcher understands: fixed verbs as typed requests over a SOCK_SEQPACKET Unix socket.
//
// One request is one datagram: u16 verb, then the fields in the order of their struct (wire.h). A request of more than
// wire::kMaxMessage bytes stands in a sealed memory file instead, whose descriptor comes first with a datagram of
// Verb::inMemory alone. One reply is one
// datagram: u8 status (0 good, 1 failed), then the reply's fields, or stage, operation, path (strings) and u32 errno.
// Descriptors travel as SCM_RIGHTS with the datagram they belong to; a request's are named in its comment, a reply's
// are tagged by DescriptorKind. A datagram that does not decode exactly ends the session without a reply. Threads and
// failures: values and pure codecs; decode() returns false on anything but an exact message.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "sandbox/base/call_set.h"
#include "sandbox/base/identity.h"
#include "sandbox/base/result.h"
#include "sandbox/base/wire.h"

namespace cloister::launcher {

enum class Verb : std::uint16_t {
  launch = 1,
  exec,
  signal,
  remove,
  tenantPut,
  tenantRemove,
  layerMount,
  layerRelease,
  recover,
  networkUsage,
  posture,
  denials,
  endExec,
  inMemory,
};

// Of a command. kMostRequest has room for as many bytes as the kernel takes of arguments and environment.
inline constexpr std::size_t kMostArguments = 16'384;
inline constexpr std::size_t kMostRequest = 3UL << 20U;

// Which confinement a process gets. `app` and `exec`: ordinary user, no capability. `build`: root of the container with
// what dpkg and npm need. `freeze`: Cloister's own mkfs.erofs over a finished build's upper, from the untouched base.
enum class Confinement : std::uint8_t { app, build, exec, freeze };
inline constexpr Confinement kLastConfinement = Confinement::freeze;

// What becomes of a call that the class allows and the container's own list (`LaunchRequest::calls`) lacks. `open`:
// there is no such list. `report` and `refuse`: cloister-init writes it into `status` when it comes for the first time,
// and lets it go on, or answers ENOSYS. For `app` and `build`.
enum class OtherCalls : std::uint8_t { open, report, refuse };
inline constexpr OtherCalls kLastOtherCalls = OtherCalls::refuse;

// What an app or `exec` may write. `byMode`: what owners and modes of the files let it. `listed`: of that, only what is
// beneath the directories that the request lists and those of every such container (policy/model/landlock.h).
enum class Writes : std::uint8_t { byMode, listed };
inline constexpr Writes kLastWrites = Writes::listed;
inline constexpr std::size_t kMostWritable = 32;

// Bounds of one container. Zero means "no own bound": the tenant's group still holds.
struct Limits {
  std::uint64_t memoryBytes = 0;
  std::uint64_t cpuMillis = 0;  // thousandths of a core
  std::uint64_t pids = 0;
  std::uint64_t diskBytes = 0;  // size of the writable upper; must not be zero
  std::uint64_t inodes = 0;     // of the upper; must not be zero
  std::uint64_t openFiles = 0;  // RLIMIT_NOFILE; must not be zero
};

// A new terminal of the container's own /dev/pts for a command: its controlling one, and its stdin, stdout and stderr,
// none of which comes with the request then. No rows: no terminal.
struct TerminalSize {
  std::uint16_t rows = 0;
  std::uint16_t columns = 0;
  [[nodiscard]] bool wanted() const { return rows != 0; }
};

// Descriptors with the request, in this order: stdin, stdout, stderr, status, and (freeze only) the output file that
// the process gets as descriptor 3. cloister-init writes lines into `status`: "call N\n" for each call of OtherCalls,
// and when the app ends, last of all, "exit N\n" or "signal N\n".
struct LaunchRequest {
  std::string instance;
  TenantIndex tenant = 0;
  Confinement confinement = Confinement::app;
  std::vector<std::string> layers;  // digests, topmost first; each was mounted with layerMount
  std::string freezeOf;             // freeze: the build instance whose upper is mounted read-only at /upper
  std::string hostname;
  std::vector<std::string> argv;
  std::vector<std::string> environment;  // NAME=value
  std::string workingDirectory;
  Ipv4 address = 0;  // 0: a network namespace with nothing but loopback
  Limits limits;
  OtherCalls otherCalls = OtherCalls::open;
  CallSet calls;  // empty when otherCalls is open
  Writes writes = Writes::byMode;
  std::vector<std::string> writable;  // absolute; empty when writes is byMode; one that is not there fails the launch
  TerminalSize terminal;              // app only
};

// Descriptors that come with a reply, tagged in `Launched::descriptors` in their order.
enum class DescriptorKind : std::uint8_t {
  pid,      // pidfd of cloister-init
  netns,    // the container's network namespace
  upper,    // O_PATH on the upper: fstatfs gives its use
  unified,  // cgroup directories, O_RDONLY: v2, or the v2 tree beside v1 (kill, freeze, cpu.stat, identity)
  cpu,      // v1 hierarchies from here on
  cpuacct,
  memory,
  blkio,
  pids,
  terminal,  // its leader, non-blocking; after a launch that asked for one
};
inline constexpr DescriptorKind kLastDescriptorKind = DescriptorKind::terminal;

// What a launch has reached. The launcher and its child go on side by side from `cloned` on: `mapped` and `outer` are
// the launcher's, the others below are the child's.
enum class LaunchStage : std::uint8_t {
  group,     // the cgroup is there, with its limits
  files,     // layers and upper are ready to be mounted
  cloned,    // the child runs, in its namespaces
  joined,    // it is in every group
  mapped,    // its ids are those of the tenant
  outer,     // the outer end of its network is up
  tree,      // it has entered its own files
  linked,    // the inner end of its network is up
  confined,  // it has only the last execve left
  executed,  // the app's execve has succeeded
};
inline constexpr std::size_t kLaunchStages = static_cast<std::size_t>(LaunchStage::executed) + 1;

struct Launched {
  std::string instance;
  TenantIndex tenant = 0;
  std::uint32_t pid = 0;          // of cloister-init, as the host sees it
  std::uint64_t cgroupInode = 0;  // inode of the unified group: the identity in metering, with the boot id
  std::vector<DescriptorKind> descriptors;
  // Microseconds from the request's arrival to each LaunchStage; empty when it was recovered.
  std::vector<std::uint32_t> stages;
};

// Descriptors with the request: stdin, stdout, stderr, status. What the command starts is in a group of its own, "exec"
// within the instance's, however it leaves its session: EndExecRequest ends it all. The group of an exec that was not
// ended goes with its last process.
struct ExecRequest {
  std::string instance;
  std::string exec;  // unlike every other exec that the instance has
  std::vector<std::string> argv;
  std::vector<std::string> environment;
  std::string workingDirectory;
  TerminalSize terminal;
  Writes writes = Writes::byMode;
  std::vector<std::string> writable = {};
};
struct Executed {  // descriptors: pid; the terminal's leader, non-blocking, if one was asked for
  std::uint32_t pid = 0;
};

// Kills what is left of an exec, waits for its group to be empty and removes that. Succeeds when all is gone already.
struct EndExecRequest {
  std::string instance;
  std::string exec;
};

enum class SignalTarget : std::uint8_t {
  init,    // forwards to the app
  group,   // SIGKILL to all, atomically
  freeze,  // no signal (0): every process stops where it is; it can still be killed
  thaw,    // no signal (0): and goes on
};
inline constexpr SignalTarget kLastSignalTarget = SignalTarget::thaw;
struct SignalRequest {
  std::string instance;
  std::uint32_t signal = 0;
  SignalTarget target = SignalTarget::init;
};

// Kills what is left, waits for the group to be empty, releases upper, link and groups. Succeeds when all is gone
// already.
struct RemoveRequest {
  std::string instance;
};

// What a tenant may use on this host in sum, instances and builds together. Memory, CPU and pids must not be zero; of
// the others zero means none.
struct TenantLimits {
  std::uint64_t memoryBytes = 0;
  std::uint64_t cpuMillis = 0;
  std::uint64_t pids = 0;
  std::uint64_t networkBitsPerSecond = 0;     // each direction
  std::uint64_t memoryHighBytes = 0;          // beyond it the tenant is slowed and its caches go
  std::uint64_t cpuBurstMillis = 0;           // a period's spending, beyond the quota, of what earlier ones left over
  std::uint64_t diskBytesPerSecond = 0;       // each of reads and writes, a disk
  std::uint64_t diskOperationsPerSecond = 0;  // likewise
};
enum class Egress : std::uint8_t { none, internet };  // internet: public addresses, no mail port, no private range
inline constexpr Egress kLastEgress = Egress::internet;
// Creates or updates the tenant's groups, bridge, addresses and set elements. Idempotent.
struct TenantPutRequest {
  TenantIndex tenant = 0;
  TenantLimits limits;
  Egress egress = Egress::internet;
};
struct TenantRemoveRequest {
  TenantIndex tenant = 0;
};
// Descriptors in TenantPut's reply: the tenant's own cgroup directories, as in Launched.
struct TenantGroups {
  std::uint64_t cgroupInode = 0;
  std::vector<DescriptorKind> descriptors;
};

// Descriptor with the request: the erofs image. The launcher copies it into a store of its own while hashing, refuses
// if the bytes are not `digest` (EBADMSG), and mounts its copy read-only, nosuid, nodev. What it has already needs no
// bytes: layerMount without a descriptor mounts that, or answers ENOENT.
struct LayerRequest {
  std::string digest;
};

// The one reply of several datagrams: at most kRecoveredPerMessage instances each, so that neither kMaxMessage nor the
// kernel's 253 descriptors a datagram are exceeded; an empty one ends it.
inline constexpr std::size_t kRecoveredPerMessage = 20;
struct Recovered {
  std::vector<Launched> instances;  // their descriptors follow each other in the same order
};

// Those of the tenants above this index, by index: a reply holds kUsagesPerReply of them at most, and one that is full
// is followed by another request.
struct NetworkUsageRequest {
  TenantIndex after = 0;
};
// IP bytes, headers included, as the tenant sees them: received by its instances, or sent. Internal ones pass between
// instances of the tenant. Dropped packets, in both directions, are those over the tenant's rate: the kernel's 32-bit
// counters, from when the rate was given.
struct NetworkUsage {
  TenantIndex tenant = 0;
  std::uint64_t externalReceivedBytes = 0;
  std::uint64_t externalSentBytes = 0;
  std::uint64_t internalReceivedBytes = 0;
  std::uint64_t internalSentBytes = 0;
  std::uint64_t droppedPackets = 0;
};
inline constexpr std::size_t kUsagesPerReply = 2'500;
struct NetworkUsageReply {
  std::vector<NetworkUsage> tenants;
};

enum class CheckState : std::uint8_t {
  enforced,
  absent,
  off
};  // absent: the kernel lacks it; off: we do not use it here
inline constexpr CheckState kLastCheckState = CheckState::off;
struct PostureCheck {
  std::string name;
  CheckState state = CheckState::absent;
  std::string reason;
};
struct PostureReply {
  std::vector<PostureCheck> checks;
};

// What AppArmor refused to a tenant's processes. Texts are the program's own and may hold any byte.
struct Denial {
  std::uint64_t sequence = 0;  // of the kernel's log; grows until the host is booted again
  TenantIndex tenant = 0;
  std::string operation;  // "open", "mount", "signal"
  std::string target;     // path, capability or peer; may be empty
  std::string program;    // name of the process
};
inline constexpr std::size_t kMostDenials = 64;
inline constexpr std::size_t kMostDenialText = 256;
struct DenialsRequest {
  std::uint64_t since = 0;  // those after this sequence
};
struct DenialsReply {
  std::vector<Denial> denials;  // oldest first, at most kMostDenials
};

// encode() of a request includes its verb; encode() of a reply includes the good status byte.
[[nodiscard]] std::string encode(const LaunchRequest&);
[[nodiscard]] std::string encode(const ExecRequest&);
[[nodiscard]] std::string encode(const EndExecRequest&);
[[nodiscard]] std::string encode(const SignalRequest&);
[[nodiscard]] std::string encode(const RemoveRequest&);
[[nodiscard]] std::string encode(const TenantPutRequest&);
[[nodiscard]] std::string encode(const TenantRemoveRequest&);
[[nodiscard]] std::string encode(const DenialsRequest&);
[[nodiscard]] std::string encode(const NetworkUsageRequest&);
[[nodiscard]] std::string encode(Verb layerVerb, const LayerRequest&);  // layerMount or layerRelease
[[nodiscard]] std::string encode(Verb plain);                           // recover, posture, inMemory
[[nodiscard]] std::string encode(const Launched&);
[[nodiscard]] std::string encode(const Executed&);
[[nodiscard]] std::string encode(const TenantGroups&);
[[nodiscard]] std::string encode(const Recovered&);
[[nodiscard]] std::string encode(const NetworkUsageReply&);
[[nodiscard]] std::string encode(const PostureReply&);
[[nodiscard]] std::string encode(const DenialsReply&);
[[nodiscard]] std::string encodeDone();
[[nodiscard]] std::string encodeFailure(const Error&);

// `reader` stands behind the verb (requests) or the status byte (replies); true means decoded exactly.
[[nodiscard]] bool decode(wire::Reader& reader, LaunchRequest&);
[[nodiscard]] bool decode(wire::Reader& reader, ExecRequest&);
[[nodiscard]] bool decode(wire::Reader& reader, EndExecRequest&);
[[nodiscard]] bool decode(wire::Reader& reader, SignalRequest&);
[[nodiscard]] bool decode(wire::Reader& reader, RemoveRequest&);
[[nodiscard]] bool decode(wire::Reader& reader, TenantPutRequest&);
[[nodiscard]] bool decode(wire::Reader& reader, TenantRemoveRequest&);
[[nodiscard]] bool decode(wire::Reader& reader, LayerRequest&);
[[nodiscard]] bool decode(wire::Reader& reader, DenialsRequest&);
[[nodiscard]] bool decode(wire::Reader& reader, NetworkUsageRequest&);
[[nodiscard]] bool decode(wire::Reader& reader, Launched&);
[[nodiscard]] bool decode(wire::Reader& reader, Executed&);
[[nodiscard]] bool decode(wire::Reader& reader, TenantGroups&);
[[nodiscard]] bool decode(wire::Reader& reader, Recovered&);
[[nodiscard]] bool decode(wire::Reader& reader, NetworkUsageReply&);
[[nodiscard]] bool decode(wire::Reader& reader, PostureReply&);
[[nodiscard]] bool decode(wire::Reader& reader, DenialsReply&);
[[nodiscard]] bool decodeFailure(wire::Reader& reader, Error&);

}  // namespace cloister::launcher
