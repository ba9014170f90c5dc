/* The steps of a launch that both floors take, and those that only the one with all features takes: what the kernel
 * alone asks for, without a check, an allocation or a report.
 *
 * One thread. Every step ends the process with 125, naming itself on stderr, when it fails. */
#pragma once

#include <linux/filter.h>
#include <stdint.h>
#include <sys/types.h>

enum { hostUid = 100000, idCount = 65536, appUid = 1000 };

void need(int good, const char* step);
void writeFile(const char* path, const char* text);
/* clone3 into new namespaces, and into the group behind `cgroup` unless it is negative. */
pid_t cloneInto(uint64_t namespaces, int cgroup);
void mapIds(pid_t pid);
void becomeRootInside(void);
/* As long as a real allow-list, compared one by one, allowing everything: its cost without its verdicts. */
void installFilter(unsigned instructions);
void dropBoundingSet(void);
void dropCapabilities(void); /* all sets */

/* tree.c: in the parent, a detached id-mapped clone of the layer and a capped upper; in the child, all mounts. */
struct Tree {
  int lower;
  int upper;
};
struct Tree makeTree(const char* layer, const char* userNamespace);
void enterTree(const struct Tree* tree);

/* groups.c: a group below `parent` in each hierarchy that Cloister uses, with limits. */
enum { mostHierarchies = 8 };
struct Groups {
  int count;
  int directories[mostHierarchies]; /* the unified one first */
  int tasks[mostHierarchies];       /* of those that clone3 does not reach */
  char paths[mostHierarchies][160];
};
struct Groups makeGroups(const char* parent);
/* In the child. A thread that moves itself waits for no grace period of the kernel's. */
void joinGroups(const struct Groups* groups);
void removeGroups(const struct Groups* groups);

/* network.c: in the parent, one message makes the pair; in the child, one batch configures its end. */
void linkNamespace(pid_t pid, const char* bridge);
void configureLinks(int hasLink);

/* confine.c: a time namespace whose clocks start now, where the kernel has them; then what is left before execve, with
 * Landlock rules as Cloister's, and its own filter with a listener. */
struct Filter {
  unsigned short length;
  struct sock_filter* instructions;
};
void startOwnClock(void);
struct Filter readFilter(const char* path);
void confine(const struct Filter* filter);
