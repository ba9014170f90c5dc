// The text of a container's /sys, whatever the number of processors.
#include "sandbox/rootfs/processor_tree.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace cloister::rootfs {
namespace {

std::string textOf(const std::vector<OwnFile>& files, std::string_view name) {
  const auto found = std::find_if(files.begin(), files.end(), [&](const auto& file) { return file.name == name; });
  return found == files.end() ? "absent" : found->text;
}

TEST(ProcessorTree, namesEachProcessorOnce) {
  for (const std::uint64_t count : {1U, 2U, 7U, 130U}) {
    const auto files = processorFiles(count);
    std::set<std::string> names;
    for (const auto& file : files) EXPECT_TRUE(names.insert(file.name).second) << file.name;
    const std::string last = "cpu" + std::to_string(count - 1) + "/topology/";
    EXPECT_EQ(textOf(files, last + "core_id"), std::to_string(count - 1) + "\n");
    EXPECT_EQ(textOf(files, last + "physical_package_id"), "0\n");
    EXPECT_EQ(textOf(files, last + "core_siblings_list"), textOf(files, "possible"));
    EXPECT_EQ(textOf(files, "cpu" + std::to_string(count) + "/topology/core_id"), "absent");
  }
}

// The kernel's bitmaps: 32 bits a group, the highest first.
TEST(ProcessorTree, writesMasksAsTheKernelDoes) {
  struct Case {
    std::uint64_t count;
    const char* first;
    const char* last;
    const char* all;
  };
  for (const auto& [count, first, last, all] :
       {Case{1, "1\n", "1\n", "1\n"},
        {4, "1\n", "8\n", "f\n"},
        {5, "01\n", "10\n", "1f\n"},
        {32, "00000001\n", "80000000\n", "ffffffff\n"},
        {33, "0,00000001\n", "1,00000000\n", "1,ffffffff\n"},
        {70, "00,00000000,00000001\n", "20,00000000,00000000\n", "3f,ffffffff,ffffffff\n"}}) {
    const auto files = processorFiles(count);
    const std::string end = "cpu" + std::to_string(count - 1) + "/topology/";
    EXPECT_EQ(textOf(files, "cpu0/topology/thread_siblings"), first) << count;
    EXPECT_EQ(textOf(files, end + "thread_siblings"), last) << count;
    EXPECT_EQ(textOf(files, end + "core_siblings"), all) << count;
  }
}

TEST(ProcessorTree, saysHowManyThereAre) {
  EXPECT_EQ(textOf(processorFiles(1), "online"), "0\n");
  EXPECT_EQ(textOf(processorFiles(4), "present"), "0-3\n");
}

}  // namespace
}  // namespace cloister::rootfs
