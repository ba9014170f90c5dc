/* The floor with Cloister's features: the same namespaces, that of the clocks too, an overlay of an id-mapped layer and
 * a capped upper, /dev, an allow-list over /proc with texts of the container's own, groups of all hierarchies with
 * limits, Landlock, no capabilities, the very filter, a first process that starts the program and reaps, and a link
 * with an address where BRIDGE is not "-". It takes each step the quickest way that we know of. It prepares nothing
 * before it starts but the layer, the user namespace and the filter's instructions, and it checks, records and reports
 * nothing; its first process is itself, and execs no other.
 *
 *   bench_floor_full LAYER USERNS GROUP BRIDGE FILTER TIME PROGRAM [ARGUMENT...]
 *
 * LAYER: a mounted read-only tree. USERNS: a file of the user namespace that maps the layer's ids. GROUP: the parent
 * group, there in every hierarchy. FILTER: a file of struct sock_filter. TIME: gets the microseconds from the start to
 * the program's exec. Exits with the program's code, or 125 when a step failed. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/floor/steps.h"

struct Arguments {
  const char* layer;
  const char* userNamespace;
  const char* group;
  const char* bridge;
  const char* filter;
  const char* time;
  char** program;
};

static void await(int pipe) {
  char byte;
  need(read(pipe, &byte, 1) == 1, "proceed");
}

/* The first process of the container. */
static void startAndReap(char** words) {
  int status = 0;
  pid_t gone = 0;
  const pid_t program = fork();
  need(program >= 0, "fork");
  if (program == 0) {
    execv(words[0], words);
    need(0, "exec");
  }
  need(syscall(SYS_close_range, 3, ~0U, 0) == 0, "close_range");
  do {
    gone = waitpid(-1, &status, 0);
  } while (gone != program);
  _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 125);
}

static void child(const struct Arguments* arguments, const struct Groups* groups, const struct Tree* tree,
                  const struct Filter* filter, int proceed) {
  joinGroups(groups);
  await(proceed);
  becomeRootInside();
  startOwnClock();
  enterTree(tree);
  await(proceed);
  configureLinks(arguments->bridge != NULL);
  need(unshare(CLONE_NEWCGROUP) == 0, "unshare");
  confine(filter);
  startAndReap(arguments->program);
}

static long microsSince(const struct timespec* begin) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (now.tv_sec - begin->tv_sec) * 1000000 + (now.tv_nsec - begin->tv_nsec) / 1000;
}

static int launch(const struct Arguments* arguments) {
  struct timespec begin;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  const int time = open(arguments->time, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  need(time >= 0, arguments->time);
  const struct Groups groups = makeGroups(arguments->group);
  const struct Filter filter = readFilter(arguments->filter);
  const struct Tree tree = makeTree(arguments->layer, arguments->userNamespace);
  int proceed[2];
  int executed[2];
  int status = 0;
  char nothing;
  need(pipe2(proceed, O_CLOEXEC) == 0 && pipe2(executed, O_CLOEXEC) == 0, "pipe");
  const pid_t pid = cloneInto(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS,
                              groups.directories[0]);
  if (pid == 0) child(arguments, &groups, &tree, &filter, proceed[0]);
  close(executed[1]);
  mapIds(pid);
  need(write(proceed[1], "m", 1) == 1, "mapped");
  if (arguments->bridge != NULL) linkNamespace(pid, arguments->bridge);
  need(write(proceed[1], "g", 1) == 1, "go");
  need(read(executed[0], &nothing, 1) == 0, "executed");
  dprintf(time, "%ld\n", microsSince(&begin));
  need(waitpid(pid, &status, 0) == pid, "wait");
  removeGroups(&groups);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 125;
}

int main(int argc, char** argv) {
  if (argc < 8) return 125;
  const struct Arguments arguments = {.layer = argv[1],
                                      .userNamespace = argv[2],
                                      .group = argv[3],
                                      .bridge = strcmp(argv[4], "-") == 0 ? NULL : argv[4],
                                      .filter = argv[5],
                                      .time = argv[6],
                                      .program = argv + 7};
  return launch(&arguments);
}
