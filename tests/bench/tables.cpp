#include "tests/bench/tables.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace cloister::bench {
namespace {

constexpr std::array kStageNames = {"group made, with limits",
                                    "layers and upper ready",
                                    "child cloned",
                                    "groups joined (child)",
                                    "ids mapped",
                                    "outer network end up",
                                    "tree entered (child)",
                                    "network up (child)",
                                    "confined (child)",
                                    "app's exec succeeded"};
static_assert(kStageNames.size() == launcher::kLaunchStages);

std::string cell(double value) {
  if (std::isnan(value)) return "-";
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.2f", value);
  return text.data();
}

}  // namespace

double quantile(std::vector<double> values, double q) {
  std::erase_if(values, [](double value) { return std::isnan(value); });
  if (values.empty()) return NAN;
  std::sort(values.begin(), values.end());
  return values.at(static_cast<std::size_t>(std::lround(q * static_cast<double>(values.size() - 1))));
}

double median(const std::vector<double>& values) {
  return quantile(values, 0.5);
}

std::vector<double> pick(const Row& row, double Sample::*field) {
  std::vector<double> values;
  values.reserve(row.samples.size());
  for (const Sample& sample : row.samples) values.push_back(sample.*field);
  return values;
}

void printComparison(const std::string& title, const std::vector<Row>& rows, const std::string& reference) {
  double whole = NAN;
  double toExec = NAN;
  for (const Row& row : rows) {
    if (row.name != reference) continue;
    whole = median(row.whole);
    toExec = median(pick(row, &Sample::execMillis));
  }
  std::printf("\n%s\n%-32s %9s %9s %9s %9s %9s %9s %9s\n", title.c_str(), "milliseconds", "whole", "p99", "x floor",
              "to exec", "p99", "x floor", "CPU");
  for (const Row& row : rows) {
    if (!row.note.empty()) {
      std::printf("%-32s %s\n", row.name.c_str(), row.note.c_str());
      continue;
    }
    const auto execs = pick(row, &Sample::execMillis);
    std::printf("%-32s %9s %9s %9s %9s %9s %9s %9s\n", row.name.c_str(), cell(median(row.whole)).c_str(),
                cell(quantile(row.whole, 0.99)).c_str(), cell(median(row.whole) / whole).c_str(),
                cell(median(execs)).c_str(), cell(quantile(execs, 0.99)).c_str(), cell(median(execs) / toExec).c_str(),
                cell(median(pick(row, &Sample::cpuMillis))).c_str());
  }
}

void printStages(const std::vector<Row>& rows) {
  std::vector<const Row*> ours;
  std::printf("\nours, milliseconds from the request's arrival in the launcher\n%-32s", "");
  for (const Row& row : rows) {
    if (row.samples.empty() || row.samples.front().stages.empty()) continue;
    ours.push_back(&row);
    std::printf(" %18s", row.name.c_str());
  }
  std::printf("\n");
  for (std::size_t stage = 0; stage < kStageNames.size(); ++stage) {
    std::printf("%-32s", kStageNames.at(stage));
    for (const Row* row : ours) {
      std::vector<double> times;
      for (const Sample& sample : row->samples) times.push_back(sample.stages.at(stage));
      std::printf(" %18s", cell(median(times)).c_str());
    }
    std::printf("\n");
  }
  std::printf("%-32s", "removal, request to reply");
  for (const Row* row : ours) std::printf(" %18s", cell(median(pick(*row, &Sample::removeMillis))).c_str());
  std::printf("\n");
}

}  // namespace cloister::bench
