// The steps of a build: its leading commands, cut where they come to see more of the source.
//
// A command that says which files it reads (`files` in the manifest), or that only installs packages, runs where only
// these files are, and those of the commands before it. So nothing else can have had a part in what it made, and what
// it made can be used again as a layer as long as base, environment, these commands and these files are the same. The
// first command that says nothing ends the steps: it and all that follow see the whole source.
// Threads: reentrant. Failures: ManifestError for `files` that are not there or too many; BlobError, TooLarge.
#pragma once

#include <string>
#include <vector>

#include "controlplane/builds/blobs.h"
#include "controlplane/model/model.h"

namespace cloister::builds {

// A release's image is the base, a layer a step and the slug; the launcher stacks eight.
inline constexpr std::size_t kMostSteps = 6;

// `archive` was inspected. The files of each step become a blob, an archive of their own; `parts` holds them until
// something refers to them.
[[nodiscard]] std::vector<model::BuildStep> planSteps(const model::Manifest& manifest, const std::string& archive,
                                                      BlobStore& blobs, std::vector<Blob>& parts);

}  // namespace cloister::builds
