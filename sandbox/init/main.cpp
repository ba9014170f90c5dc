// cloister-init: the first process of every container, and the parent of every `exec` in one.
//
// Starts the command in its own session, reaps whatever is left to it, forwards signals to the command's process group,
// answers the calls that the filter hands to it (answers.h), keeps the container's live views true if it is the first
// (live_views.h), and writes how the command ended. It is static and small
// (musl where that is installed: its start is a sixth of glibc's, and every launch waits for it), cannot be dumped,
// runs under the app's own filter and has no capability that the command does not have: none for an app, and for a
// build those without which it could not answer the build's processes.
//
//   cloister-init MODE CALLS COMMAND [ARG...]
//     MODE: "app" | "terminal" (stdin becomes the controlling terminal)
//     CALLS: "open" | "report" | "refuse" (exec_report.h)
//
// Descriptors: see sandbox/base/exec_report.h. Failure before the command's execve: an ExecReport and exit 127.
// When the command ends, init ends too and the kernel kills the rest of the pid namespace; but after a forwarded
// SIGTERM it waits for all of them, so that "a && b" in a shell does not cut the grace period of b short.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sandbox/base/call_number.h"
#include "sandbox/base/exec_report.h"
#include "sandbox/base/live_views.h"
#include "sandbox/init/answers.h"
#include "sandbox/init/live_views.h"
#include "sandbox/init/text.h"

namespace {

using cloister::ExecReport;
using cloister::kReportDescriptor;
using cloister::kStatusDescriptor;

void writeFully(int fd, const char* text, size_t size) {
  while (size > 0) {
    const ssize_t wrote = write(fd, text, size);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return;
    text += wrote;
    size -= static_cast<size_t>(wrote);
  }
}

[[noreturn]] void failStart(const char* operation, const char* path) {
  ExecReport report{};
  report.code = errno;
  cloister::copyText(report.stage, sizeof report.stage, "init");
  cloister::copyText(report.operation, sizeof report.operation, operation);
  cloister::copyText(report.path, sizeof report.path, path);
  writeFully(kReportDescriptor, reinterpret_cast<const char*>(&report), sizeof report);
  _exit(127);
}

void record(const char* word, unsigned number) {
  char room[32];
  const cloister::Text line = cloister::Text(room, sizeof room).put(word).put(number).put("\n");
  writeFully(kStatusDescriptor, line.begin(), line.size());
}

void recordEnd(int status) {
  const bool exited = WIFEXITED(status);
  record(exited ? "exit " : "signal ", static_cast<unsigned>(exited ? WEXITSTATUS(status) : WTERMSIG(status)));
}

// Each call once, so that the file stays short whatever the app does.
void recordCall(int number) {
  static unsigned char seen[cloister::kMostCalls / 8];
  if (number < 0 || static_cast<unsigned>(number) >= cloister::kMostCalls) return;
  const unsigned bit = 1U << (static_cast<unsigned>(number) % 8);
  unsigned char& byte = seen[number / 8];
  if ((byte & bit) != 0) return;
  byte = static_cast<unsigned char>(byte | bit);
  record("call ", static_cast<unsigned>(number));
}

[[noreturn]] void becomeCommand(bool terminal, char** command) {
  if (setsid() < 0) failStart("setsid", "");
  if (terminal && ioctl(0, TIOCSCTTY, 0) != 0) failStart("TIOCSCTTY", "stdin");
  if (fcntl(kReportDescriptor, F_SETFD, FD_CLOEXEC) != 0) failStart("fcntl", "report");
  close(kStatusDescriptor);
  for (int i = 0; i < cloister::kLiveDescriptors; ++i) close(cloister::kFirstLiveDescriptor + i);
  // An ignored signal stays ignored over execve; the command starts with all at their defaults.
  for (int number = 1; number < NSIG; ++number) signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  if (sigprocmask(SIG_SETMASK, &none, nullptr) != 0) failStart("sigprocmask", "");
  execvp(command[0], command);
  failStart("execve", command[0]);
}

long nowMillis() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000 + now.tv_nsec / 1'000'000;
}

// When the live views want attention again, whatever else wakes init before.
class Alarm {
 public:
  void set(int millis) { due_ = millis == cloister::kAsleep ? 0 : nowMillis() + millis; }
  // For poll().
  [[nodiscard]] int wait() const {
    if (due_ == 0) return -1;
    const long left = due_ - nowMillis();
    return left > 0 ? static_cast<int>(left) : 0;
  }
  [[nodiscard]] bool rings() const { return due_ != 0 && nowMillis() >= due_; }

 private:
  long due_ = 0;
};

}  // namespace

int main(int count, char** arguments) {
  if (count < 4) return 2;
  sigset_t all;
  sigfillset(&all);
  if (sigprocmask(SIG_SETMASK, &all, nullptr) != 0) failStart("sigprocmask", "");

  fcntl(cloister::kAnswerDescriptor, F_SETFD, FD_CLOEXEC);
  // Before the command is there, which must find init closed; its own execve makes it dumpable again.
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) failStart("prctl", "dumpable");
  prctl(PR_SET_NAME, "cloister-init", 0, 0, 0);
  // Not vfork: on a busy machine init would get its turn, and close its end of the report, only after the command's.
  const pid_t command = fork();
  if (command < 0) failStart("fork", "");
  if (command == 0) becomeCommand(strcmp(arguments[1], "terminal") == 0, arguments + 3);
  const bool refuse = strcmp(arguments[2], cloister::kReportCalls) != 0;

  close(kReportDescriptor);
  for (int fd = 0; fd <= cloister::kOutputDescriptor; ++fd) close(fd);
  bool terminating = false;
  bool commandEnded = false;
  int commandStatus = 0;
  const int signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals < 0) return 2;
  const auto views = cloister::watchViews() ? cloister::Views::kept : cloister::Views::read;
  Alarm alarm;
  pollfd watched[] = {{signals, POLLIN, 0}, {cloister::kAnswerDescriptor, POLLIN, 0}};
  for (;;) {
    if (poll(watched, 2, alarm.wait()) < 0) continue;
    if (alarm.rings()) alarm.set(cloister::keepViews());
    if ((watched[1].revents & POLLIN) != 0) {
      const int other = cloister::answerCall(cloister::kAnswerDescriptor, refuse, views);
      if (other >= 0) recordCall(other);
    }
    if ((watched[1].revents & (POLLERR | POLLHUP | POLLNVAL)) != 0) watched[1].fd = -1;
    signalfd_siginfo info{};
    if (read(signals, &info, sizeof info) != static_cast<ssize_t>(sizeof info)) continue;
    const int number = static_cast<int>(info.ssi_signo);
    if (number == SIGIO && info.ssi_code > 0 && views == cloister::Views::kept) {  // the kernel's, of a lease
      alarm.set(cloister::viewsWereOpened());
      continue;
    }
    if (number != SIGCHLD) {
      terminating = terminating || number == SIGTERM || number == SIGINT || number == SIGQUIT;
      // kill(-1) would reach the exec'd strangers too; the command's own group is what was asked for.
      if (kill(-command, number) != 0) kill(command, number);
      continue;
    }
    for (;;) {
      int status = 0;
      const pid_t gone = waitpid(-1, &status, WNOHANG);
      if (gone > 0) {
        if (gone == command) {
          commandEnded = true;
          commandStatus = status;
          // Nobody else would tell those that it or an exec left behind.
          if (terminating) kill(-1, SIGTERM);
        }
        continue;
      }
      const bool allGone = gone < 0 && errno == ECHILD;
      if (commandEnded && (allGone || !terminating)) {
        recordEnd(commandStatus);
        _exit(WIFEXITED(commandStatus) ? WEXITSTATUS(commandStatus) : 128 + WTERMSIG(commandStatus));
      }
      break;
    }
  }
}
