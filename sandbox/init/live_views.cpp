#include "sandbox/init/live_views.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sandbox/base/live_views.h"
#include "sandbox/init/processors.h"
#include "sandbox/init/text.h"

namespace cloister {
namespace {

// Most readers have closed their file after the first of these; while one is held open, its text is written anew each
// second.
constexpr int kSoon = 3;
constexpr int kMeanwhile = 1'000;
constexpr unsigned long kTicks = 100;  // a second, USER_HZ
constexpr unsigned long kTicksOfMicros = 1'000'000 / kTicks;
constexpr unsigned long kMillis = 1'000;
constexpr unsigned long kPage = 4'096;
constexpr unsigned kMostProcessors = 256;  // that a text has room for

bool leased[kLiveViews];
int pause = kSoon;
unsigned long totalMemory;  // bytes, from the text that the launcher wrote
// Not on the stack, of which a page that was touched once stays.
char sourceText[8'192];
char viewText[16'384];

int descriptorOf(LiveView view) {
  return kFirstLiveDescriptor + static_cast<int>(view);
}
int descriptorOf(LiveSource source) {
  return kFirstLiveDescriptor + kLiveViews + static_cast<int>(source);
}

bool readAll(int descriptor) {
  const ssize_t got = pread(descriptor, sourceText, sizeof sourceText - 1, 0);
  sourceText[got > 0 ? got : 0] = '\0';
  return got > 0;
}

void write(LiveView view, const Text& text) {
  if (pwrite(descriptorOf(view), text.begin(), text.size(), 0) != static_cast<ssize_t>(text.size())) return;
  // A text that grew shorter; an error leaves old words behind the new ones.
  if (ftruncate(descriptorOf(view), static_cast<off_t>(text.size())) != 0) return;
}

// The number behind `key` at the beginning of a line of the source.
unsigned long valueOf(const char* key) {
  const size_t length = strlen(key);
  for (const char* line = sourceText; line != nullptr && *line != '\0';) {
    if (strncmp(line, key, length) == 0 && line[length] == ' ') return numberAt(line + length);
    line = strchr(line, '\n');
    if (line != nullptr) ++line;
  }
  return 0;
}

// The first of two keys that is there: version 2's name, version 1's.
unsigned long valueOf(const char* key, const char* older) {
  const unsigned long value = valueOf(key);
  return value != 0 ? value : valueOf(older);
}

unsigned long smaller(unsigned long one, unsigned long other) {
  return one < other ? one : other;
}

struct Memory {
  unsigned long used, anonymous, file, shared, mapped, dirty, writeback;
  unsigned long activeFile, inactiveFile, activeAnonymous, inactiveAnonymous, reclaimable, unevictable;
  unsigned long faults, majorFaults;  // since the group was made
};

bool readMemory(Memory& memory) {
  if (!readAll(descriptorOf(LiveSource::memoryUse))) return false;
  memory.used = smaller(numberAt(sourceText), totalMemory);
  if (!readAll(descriptorOf(LiveSource::memoryKinds))) return false;
  memory.anonymous = valueOf("anon", "rss");
  memory.file = valueOf("file", "cache");
  memory.shared = valueOf("shmem");
  memory.mapped = valueOf("file_mapped", "mapped_file");
  memory.dirty = valueOf("file_dirty", "dirty");
  memory.writeback = valueOf("file_writeback", "writeback");
  memory.activeFile = valueOf("active_file");
  memory.inactiveFile = valueOf("inactive_file");
  memory.activeAnonymous = valueOf("active_anon");
  memory.inactiveAnonymous = valueOf("inactive_anon");
  memory.reclaimable = valueOf("slab_reclaimable");
  memory.unevictable = valueOf("unevictable");
  memory.faults = valueOf("pgfault");
  memory.majorFaults = valueOf("pgmajfault");
  return true;
}

void tellMemory(const Memory& memory) {
  const unsigned long free = totalMemory - memory.used;
  const unsigned long available =
      smaller(free + memory.activeFile + memory.inactiveFile + memory.reclaimable, totalMemory);
  Text text(viewText, sizeof viewText);
  const struct {
    const char* name;
    unsigned long bytes;
  } lines[] = {{"MemTotal:", totalMemory},
               {"MemFree:", free},
               {"MemAvailable:", available},
               {"Buffers:", 0},
               {"Cached:", memory.file},
               {"SwapCached:", 0},
               {"Active:", memory.activeAnonymous + memory.activeFile},
               {"Inactive:", memory.inactiveAnonymous + memory.inactiveFile},
               {"Active(anon):", memory.activeAnonymous},
               {"Inactive(anon):", memory.inactiveAnonymous},
               {"Active(file):", memory.activeFile},
               {"Inactive(file):", memory.inactiveFile},
               {"Unevictable:", memory.unevictable},
               {"Mlocked:", 0},
               {"SwapTotal:", 0},
               {"SwapFree:", 0},
               {"Dirty:", memory.dirty},
               {"Writeback:", memory.writeback},
               {"AnonPages:", memory.anonymous},
               {"Mapped:", memory.mapped},
               {"Shmem:", memory.shared},
               {"KReclaimable:", memory.reclaimable},
               {"Slab:", memory.reclaimable},
               {"SReclaimable:", memory.reclaimable},
               {"SUnreclaim:", 0},
               {"KernelStack:", 0},
               {"PageTables:", 0},
               {"CommitLimit:", totalMemory},
               {"Committed_AS:", memory.anonymous}};
  for (const auto& line : lines) {
    text.put(line.name);
    for (size_t blanks = strlen(line.name); blanks < 16; ++blanks) text.put(" ");
    text.put(line.bytes >> 10U, 8).put(" kB\n");
  }
  text.put("HugePages_Total:       0\nHugePages_Free:        0\nHugePages_Rsvd:        0\nHugePages_Surp:        0\n")
      .put("Hugepagesize:       2048 kB\n");
  write(LiveView::memory, text);
}

// The host's own has more lines; these are what a group is counted by, and what programs ask for by name. A container
// has neither disk nor swap.
void tellPaging(const Memory& memory) {
  Text text(viewText, sizeof viewText);
  const struct {
    const char* name;
    unsigned long bytes;
  } lines[] = {{"nr_free_pages ", totalMemory - memory.used},
               {"nr_inactive_anon ", memory.inactiveAnonymous},
               {"nr_active_anon ", memory.activeAnonymous},
               {"nr_inactive_file ", memory.inactiveFile},
               {"nr_active_file ", memory.activeFile},
               {"nr_unevictable ", memory.unevictable},
               {"nr_anon_pages ", memory.anonymous},
               {"nr_mapped ", memory.mapped},
               {"nr_file_pages ", memory.file},
               {"nr_dirty ", memory.dirty},
               {"nr_writeback ", memory.writeback},
               {"nr_shmem ", memory.shared}};
  for (const auto& line : lines) text.put(line.name).put(line.bytes / kPage).put("\n");
  text.put("pgpgin 0\npgpgout 0\npswpin 0\npswpout 0\n");
  text.put("pgfault ").put(memory.faults).put("\npgmajfault ").put(memory.majorFaults).put("\noom_kill 0\n");
  write(LiveView::paging, text);
}

struct Times {
  unsigned long uptimeMicros, userTicks, systemTicks, idleTicks;
};

// Time that passed and that processes took; the rest of all processors' time is idle, and never becomes less.
Times readTimes() {
  static unsigned long leastIdle;
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  Times times{};
  times.uptimeMicros =
      static_cast<unsigned long>(now.tv_sec) * 1'000'000 + static_cast<unsigned long>(now.tv_nsec) / 1'000;
  if (readAll(descriptorOf(LiveSource::processorUse))) {
    times.userTicks = valueOf("user_usec") / kTicksOfMicros;
    times.systemTicks = valueOf("system_usec") / kTicksOfMicros;
  }
  const unsigned long all = times.uptimeMicros / kTicksOfMicros * shownProcessors();
  const unsigned long used = smaller(times.userTicks + times.systemTicks, all);
  if (all - used > leastIdle) leastIdle = all - used;
  times.idleTicks = leastIdle;
  return times;
}

void tellTimes(const Times& times) {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  // The kernel's own rule, by which programs compute when a process began.
  const unsigned long wholeMicros =
      static_cast<unsigned long>(now.tv_sec) * 1'000'000 + static_cast<unsigned long>(now.tv_nsec) / 1'000;
  const unsigned long began = (wholeMicros - times.uptimeMicros) / 1'000'000;
  const unsigned long processors = smaller(shownProcessors(), kMostProcessors);
  Text text(viewText, sizeof viewText);
  const auto line = [&](unsigned long share) {
    text.put(" ").put(times.userTicks / share).put(" 0 ").put(times.systemTicks / share);
    text.put(" ").put(times.idleTicks / share).put(" 0 0 0 0 0 0\n");
  };
  text.put("cpu ");
  line(1);
  for (unsigned long i = 0; i < processors; ++i) {
    text.put("cpu").put(i);
    line(processors);
  }
  text.put("intr 0\nctxt 0\nbtime ").put(began);
  text.put("\nprocesses 1\nprocs_running 1\nprocs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n");
  write(LiveView::times, text);
}

void tellUptime(const Times& times) {
  const unsigned long up = times.uptimeMicros / kTicksOfMicros;
  Text text(viewText, sizeof viewText);
  text.put(up / kTicks).put(".").put(up % kTicks, 2, '0').put(" ");
  text.put(times.idleTicks / kTicks).put(".").put(times.idleTicks % kTicks, 2, '0').put("\n");
  write(LiveView::uptime, text);
}

LoadNow load;

// A running mean of the processors in use since it was asked last.
void countLoad(const Times& times) {
  static unsigned long lastMicros;
  static unsigned long lastTicks;
  const unsigned long passed = times.uptimeMicros - lastMicros;
  if (passed < 1'000'000) return;
  const unsigned long ticks = times.userTicks + times.systemTicks;
  const unsigned long use = (ticks - smaller(lastTicks, ticks)) * kTicksOfMicros * kMillis / passed;
  constexpr unsigned long kSpanMillis[] = {60'000, 300'000, 900'000};
  const unsigned long millis = passed / kMillis;
  for (int i = 0; i < 3; ++i) {
    load.of[i] = (load.of[i] * kSpanMillis[i] + use * millis) / (kSpanMillis[i] + millis);
  }
  lastMicros = times.uptimeMicros;
  lastTicks = ticks;
}

void tellLoad() {
  Text text(viewText, sizeof viewText);
  for (const unsigned long thousandths : load.of) {
    text.put(thousandths / kMillis).put(".").put(thousandths % kMillis / 10, 2, '0').put(" ");
  }
  text.put("1/1 1\n");
  write(LiveView::load, text);
}

void tellAll() {
  const Times times = readTimes();
  countLoad(times);
  Memory memory{};
  if (readMemory(memory)) {
    tellMemory(memory);
    tellPaging(memory);
  }
  tellTimes(times);
  tellUptime(times);
  tellLoad();
}

// EAGAIN: somebody has the file open. Any other error: this kernel gives no lease on such a file. Returns when to try
// again, later each time.
int takeLeases() {
  bool heldOpen = false;
  for (int i = 0; i < kLiveViews; ++i) {
    if (!leased[i]) leased[i] = fcntl(kFirstLiveDescriptor + i, F_SETLEASE, F_WRLCK) == 0;
    if (!leased[i] && errno == EAGAIN) heldOpen = true;
  }
  if (!heldOpen) return kAsleep;
  pause = pause * 8 < kMeanwhile ? pause * 8 : kMeanwhile;
  return pause;
}

}  // namespace

bool watchViews() {
  if (pread(descriptorOf(LiveView::memory), sourceText, sizeof sourceText - 1, 0) <= 0) return false;
  const char* total = strchr(sourceText, ':');
  if (total == nullptr) return false;
  totalMemory = numberAt(total + 1) << 10U;
  (void)takeLeases();  // nobody has one open yet
  return true;
}

int viewsWereOpened() {
  tellAll();
  for (int i = 0; i < kLiveViews; ++i) {
    if (leased[i]) fcntl(kFirstLiveDescriptor + i, F_SETLEASE, F_UNLCK);
    leased[i] = false;
  }
  pause = kSoon;
  return pause;
}

int keepViews() {
  tellAll();
  return takeLeases();
}

MemoryNow memoryNow() {
  Memory memory{};
  if (!readMemory(memory)) return {totalMemory, totalMemory, 0};
  return {totalMemory, totalMemory - memory.used, memory.shared};
}

LoadNow loadNow() {
  countLoad(readTimes());
  return load;
}

}  // namespace cloister
