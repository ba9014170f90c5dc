// JSON of the values that the store keeps as text columns and that the API shows unchanged: manifests, maps, posture.
//
// Threads: pure functions. Failures: decoders throw Poco::DataFormatException naming the field.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "controlplane/model/model.h"

namespace cloister::model {

[[nodiscard]] std::string toJson(const Manifest&);
[[nodiscard]] std::string toJson(const std::map<std::string, std::string>&);
[[nodiscard]] std::string toJson(const std::map<std::string, std::int64_t>&);
[[nodiscard]] std::string toJson(const std::vector<PostureCheck>&);

[[nodiscard]] std::string toJson(const std::vector<BuildStep>&);
[[nodiscard]] std::vector<BuildStep> buildStepsFromJson(const std::string&);
[[nodiscard]] Manifest manifestFromJson(const std::string&);
[[nodiscard]] std::map<std::string, std::string> textMapFromJson(const std::string&);
[[nodiscard]] std::map<std::string, std::int64_t> countMapFromJson(const std::string&);
[[nodiscard]] std::vector<PostureCheck> postureFromJson(const std::string&);

}  // namespace cloister::model
