// Rows of samples and how they are shown: medians, 99th percentiles, ratios.
//
// Threads: not shared. Failures: none; what has no value is shown as "-".
#pragma once

#include <string>
#include <vector>

#include "tests/bench/contestants.h"

namespace cloister::bench {

struct Row {
  std::string name;
  std::string note;  // why there are no samples
  std::vector<double> whole;
  std::vector<Sample> samples;
};

// NaN for no values.
[[nodiscard]] double quantile(std::vector<double> values, double q);
[[nodiscard]] double median(const std::vector<double>& values);
[[nodiscard]] std::vector<double> pick(const Row& row, double Sample::*field);

// "whole" and "to exec" beside the row named `reference`.
void printComparison(const std::string& title, const std::vector<Row>& rows, const std::string& reference);
// Milliseconds at which the launches of each row reached each stage, and what removal took.
void printStages(const std::vector<Row>& rows);

}  // namespace cloister::bench
