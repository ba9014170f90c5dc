// Sampler: what the node's meter thread drives. Reads all groups, accumulates, seals windows of ten seconds into
// batches.
//
//   start:    open(); for each recovered container add(Origin::recovered); then closeMissing()
//   launch:   add(Origin::launched) as soon as the launcher has answered
//   1 s:      sample(), flush(); before them, as seldom as each window is fine, network() with the launcher's
//             networkUsage() for each tenant, tenantGroup() and host()
//   exit:     finish() after the last process ended and BEFORE the launcher's remove: durable when it returns;
//             forget() after it
//   stop:     flush(Flush::all) is allowed, not needed: the next process continues from the spool
//   seals:    by itself, within flush(): when an hour is over, and for a tenant that is forgotten
//   uplink:   spool.pending() -> POST /node/v1/usage -> spool.acknowledge(sequence)
//
// Windows are aligned to ten seconds UTC. A sample belongs to the window that is open when it is taken. Durations are
// the boot clock's, so a step of the calendar moves the labels of windows and changes no quantity; after a step back
// windows may overlap earlier ones, rows stay distinct by batch. The step itself becomes a gap row of one millisecond
// for every tenant that has a group, with a note of its size (clockStepNote).
//
// A group's life is told by rows of their own (Meter::instanceState), whose `from` is the moment: "instance - ->
// running/LIMIT" when it is added, "running -> ended" by finish(), "running -> lost" when it was not found again, "lost
// -> running" when it was after all; LIMIT is its memory's, in bytes.
//
// All rows of a tenant come under a seal of the host (seal.h): that of the hour in which the segment began, behind its
// last window and before any row of the next hour, so that no seal spans two months unless one window does. Signing
// takes some 50 us a tenant: kSealsAtOnce at the hour's end, as many with each flush() after it, and what is left
// before the next window's rows. Threads: one thread (any, but one at a time). Failures: add() says when no counter
// can be read (no descriptor is left for the files, say), and each reading tries it again; sample() goes on over a
// group that failed (its life-cycle meters still count, and its time is a gap) and reports the number; commit errors
// come back from flush(), add() and finish() and lose nothing: the next one writes all.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "metering/base/seal.h"
#include "metering/readings/cgroup_reader.h"
#include "metering/readings/spool.h"

namespace cloister::metering {

inline constexpr std::int64_t kWindowMicros = 10'000'000;
[[nodiscard]] constexpr std::int64_t windowStart(std::int64_t utcMicros) {
  const auto rest = utcMicros % kWindowMicros;
  return utcMicros - (rest < 0 ? rest + kWindowMicros : rest);
}
inline constexpr unsigned kFullEvery = 10;  // readings: once a window

// Whose group it is. `group` is the launcher's container id ("<instance id>-<attempt>", "<build id>"), unique on the
// node.
struct Subject {
  std::string group;
  std::string tenantId;
  std::string appId;              // empty for a build's own usage, or as the caller wants it attributed
  std::string instanceId;         // instance or build id, as rows carry it
  std::uint64_t cgroupInode = 0;  // Launched::cgroupInode
  Allocation allocation;          // the limits it was launched with
  std::uint64_t bornNanos = 0;    // of the boot clock; 0: with add(), or, if it was recovered, not known
};

inline constexpr std::size_t kSealsAtOnce = 1'000;  // what others wait for meanwhile stays below 100 ms

enum class Origin { launched, recovered };
enum class Flush { whenDue, all };

class Sampler {
 public:
  // `bootId` of this boot: counters::bootId(). Loads what the spool knows. `key`: the host's own.
  [[nodiscard]] static Result<std::unique_ptr<Sampler>> open(Spool& spool, std::string bootId, const SigningKey& key);

  // A group that the spool knows under the same (boot id, inode) continues from its last reading; any other counts from
  // zero, for it was born in its group: a recovered one of which nobody knows when counts its time from `at`, with a
  // gap row. Only when the spool has no past does a recovered group begin at its present counters, with a gap row.
  // Adding a group twice replaces its descriptors. They are kept until all files are open. After a failure the group is
  // there all the same.
  [[nodiscard]] Status add(const Subject& subject, GroupDescriptors descriptors, Origin origin, Moment at);
  // After all recovered groups were added: the spool's others vanished while nobody looked. Each gets its gap row,
  // once. One of this boot is remembered for a day: should it come back (the launcher answered late), it continues from
  // its last reading instead of counting what was counted.
  [[nodiscard]] Status closeMissing(Moment at);
  // The last reading, after exit and before rmdir. Unknown groups are fine. Until forget() says that its directory is
  // gone, the group is remembered: a node that was killed in between finds it again and counts no part of it twice.
  [[nodiscard]] Status finish(const std::string& group, Moment at);
  void forget(const std::string& group);

  // When the group's last process ended, by the calendar, while nobody looked: it lived no longer than that, and no
  // shorter than its last reading says. Before finish().
  void ended(const std::string& group, std::int64_t utcMicros, Moment at);

  // Reads every group once, in full each kFullEvery-th time. The value is the number of groups that could not be read.
  [[nodiscard]] std::size_t sample(Moment at);
  // Bytes of a tenant since its counters were made (launcher::NetworkUsage). Never older ones after newer ones.
  void network(const std::string& tenantId, const TrafficCounters& bytes, Moment at);
  // CPU of the tenant's own group since that was made; `inode` tells one group from the next. It is read beside the
  // sample() that ends a window, so that both are of the same moment.
  void tenantGroup(const std::string& tenantId, std::uint64_t inode, std::uint64_t cpuNanos, Moment at);
  // CPU of the group that all tenants' groups are in, which keeps what those spent that are gone, and of the host.
  // After tenantGroup() of each tenant. Rows of the host's own chain.
  void host(const HostCpu& cpu, Moment at);
  // All that was read until now, durable when it returns: before the launcher's removeTenant, which ends counters.
  [[nodiscard]] Status store() { return commitAll(); }
  // Forgets a tenant's counters: after that. Its rows are sealed with the open window.
  void forgetTenant(const std::string& tenantId);

  // Seals the open window when it is over (or always), commits. The value: rows of that window, without the host's
  // seals. A window that goes on is committed only with seals that are due, and after the first sample of a new group:
  // between two commits a crash leaves levels to the trapezoid, which is good for a group that runs and bad for one
  // that starts.
  [[nodiscard]] Result<std::size_t> flush(Moment at, Flush when = Flush::whenDue);

  // What the kernel says now, in full; nothing is counted by it. ENOENT for an unknown group.
  [[nodiscard]] Result<Reading> look(const std::string& group);
  // The last good reading of a running group; null for an unknown one.
  [[nodiscard]] const Reading* last(const std::string& group) const;
  [[nodiscard]] std::size_t groups() const { return running_.size(); }

 private:
  Sampler(Spool& spool, std::string bootId, const SigningKey& key, SpoolState state);
  enum class Reason { periodic, last };
  // A group with its reader. What is read goes into its state, which is stored when the window ends, or before with
  // what needs it: a commit for another group need not write this one too.
  struct Running {
    std::optional<CgroupReader> reader;   // none: it could not be read yet
    GroupDescriptors directories;         // until then
    const std::string* name;              // in running_
    GroupState* state;                    // in state_.groups
    unsigned turn;                        // of full readings
    std::uint64_t endNanos = UINT64_MAX;  // of the boot clock, when it is known
  };
  using Groups = Kept<std::string, GroupState>;
  using Networks = Kept<std::string, TenantCounters>;
  void take(const AmountKey& key, std::uint64_t quantity);
  // Gaps or sums of a group or tenant. The caller sees to it that the readings that they follow are stored with them.
  void takeGaps(const Owner& owner, const Gaps& gaps);
  void takeSums(const Owner& owner, const Sums& sums);
  // What they have of the open window stays.
  Groups::Iterator eraseGroup(Groups::Iterator group);
  Networks::Iterator eraseCounters(Networks::Iterator tenant);
  // Opens the group's files when they are not yet.
  [[nodiscard]] static Result<Reading> read(Running& running, CgroupReader::Depth depth);
  // False when the group could not be read; its life-cycle meters go on.
  bool readGroup(Running& running, Moment at, Reason reason);
  void closeGroup(const GroupState& group, Moment at);
  void noteState(const GroupState& group, const std::string& previous, const std::string& current,
                 std::int64_t utcMicros);
  [[nodiscard]] TenantCounters& countersOf(const std::string& tenantId);
  void noteClockStep(Moment at);
  // The open window's sums as rows, in their segments.
  [[nodiscard]] std::size_t closeWindow(std::int64_t to);
  void closeRow(const UsageRow& row);
  void seal(const std::string& tenantId);
  // Those whose hour ended before the open window began. The value: how many.
  std::size_t sealEnded(std::size_t most);
  [[nodiscard]] Status commit();
  // With all readings.
  [[nodiscard]] Status commitAll();

  // Until their window is over, changes of state have their moment at the note's end: each is a row, at that moment.
  static constexpr char kMomentMark = '@';

  Spool& spool_;
  std::string bootId_;
  SigningKey key_;
  Sha256 sha_;
  SpoolState state_;
  std::map<std::string, Running> running_;
  std::vector<Running*> order_;  // of running_, in which they are read; empty: to be made
  std::set<std::string> young_;  // groups launched since the last commit of a sample of them
  bool youngSampled_ = false;
  std::set<std::string> leaving_;          // tenants that were forgotten since the last window
  RowLists sealed_{Spool::kRowsPerBatch};  // of a window that is over, until a commit succeeded
  std::int64_t onlyHour_ = INT64_MIN;      // no segment began in another hour; INT64_MIN: one may have
  std::uint64_t groupsTaken_ = 0;          // nanoseconds that tenantGroup() took since the last host()
};

}  // namespace cloister::metering
