// Runs a function under a seccomp filter in a process of its own, because a filter can never be taken off again.
//
// Threads: forks; call it from a test that started no thread. Failures: how the child ended, in Ending.
#pragma once

#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include <gtest/gtest.h>

#include "policy/model/seccomp.h"

namespace cloister::policy {

struct Ending {
  bool set = false;  // the filter was installed
  int code = -1;     // what the function returned, 0..250
  int signal = 0;    // or the signal that ended it
};

inline constexpr int kNotInstalled = 251;

// A system call's errno, 0 when it did not fail.
template <typename... Arguments>
int errnoOf(long number, Arguments... arguments) {
  errno = 0;
  return ::syscall(number, arguments...) < 0 ? errno : 0;
}

template <typename Function>
Ending runFiltered(const std::vector<sock_filter>& filter, const Function& function) {
  const pid_t child = ::fork();
  if (child == 0) {
    // The kernel takes a pointer to non-const and does not write through it.
    std::vector<sock_filter> copy = filter;
    sock_fprog program{static_cast<unsigned short>(copy.size()), copy.data()};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) {
      ::_exit(kNotInstalled);
    }
    ::_exit(function());
  }
  int status = 0;
  Ending ending;
  if (child < 0 || ::waitpid(child, &status, 0) != child) return ending;
  if (WIFSIGNALED(status)) {
    ending.set = true;
    ending.signal = WTERMSIG(status);
  } else {
    ending.code = WEXITSTATUS(status);
    ending.set = ending.code != kNotInstalled;
  }
  return ending;
}

inline std::vector<sock_filter> filterOf(launcher::Confinement confinement) {
  auto filter = compile(profileFor(confinement));
  if (!filter) {
    ADD_FAILURE() << filter.error().message();
    return {};
  }
  return std::move(*filter);
}

}  // namespace cloister::policy
