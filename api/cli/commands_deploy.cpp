#include <fmt/format.h>

#include <cstdlib>
#include <istream>
#include <ostream>

#include "api/cli/archive.h"
#include "api/cli/build_log.h"
#include "api/cli/commands.h"
#include "api/cli/interruption.h"
#include "sandbox/base/caller_terminal.h"

namespace cloister::cli {
namespace {

struct DeployOptions {
  std::string directory = ".";
  AppChoice app;
  std::string settle;
  bool noWait = false;
  bool noCache = false;
};

// One line that rewrites itself on a terminal, and only its last state elsewhere.
class Progress {
 public:
  Progress(std::ostream& err, std::uint64_t total) : err_(err), total_(total), live_(terminal::isTerminal(2)) {}
  void operator()(std::uint64_t sent) {
    const std::uint64_t percent = total_ == 0 ? 100 : sent * 100 / total_;
    if (percent == shown_ || (!live_ && sent < total_)) return;
    shown_ = percent;
    err_ << (live_ ? "\r" : "")
         << fmt::format("Uploading {} of {}, {} %", humanBytes(static_cast<double>(sent)),
                        humanBytes(static_cast<double>(total_)), percent)
         << (live_ && sent < total_ ? "\033[K" : "\n") << std::flush;
  }

 private:
  std::ostream& err_;
  std::uint64_t total_;
  bool live_;
  std::uint64_t shown_ = 101;
};

// What Ctrl-C means while a build is followed. At a terminal it asks; elsewhere nobody could answer, so it cancels:
// who stopped waiting for a deploy does not want to be surprised by it later.
class Stopping {
 public:
  Stopping(Context& context, std::string path, Query query)
      : context_(context), path_(std::move(path)), query_(std::move(query)), api_(context.api().settings()) {}

  void operator()() {
    std::ostream& err = context_.streams.err;
    if (terminal::isTerminal(0) && terminal::isTerminal(2)) {
      err << "\nCancel the build? [y]es, [d]etach and let it go on, [N]o, keep following: " << std::flush;
      std::string answer;
      std::getline(context_.streams.in, answer);
      if (answer == "d" || answer == "D") leave("it goes on; to see it: cloister build log -f", 0);
      if (context_.streams.in && answer != "y" && answer != "Y" && answer != "yes") return;
    }
    cancel();
  }

 private:
  static constexpr int kInterrupted = 130;

  void cancel() {
    try {
      (void)api_.send({.method = "POST", .path = path_ + "/cancel", .query = query_});
    } catch (const ApiError& error) {
      // Built already: the release goes on, and a second try only stops waiting for it.
      if (refused_) leave("it goes on without you", kInterrupted);
      refused_ = true;
      context_.streams.err << "not cancelled: " << error.what() << '\n';
    } catch (const std::exception& error) {
      leave(std::string("not cancelled: ") + error.what(), kInterrupted);
    }
  }

  [[noreturn]] void leave(const std::string& why, int code) {
    context_.streams.out << std::flush;
    context_.streams.err << "cloister: " << printable(why) << std::endl;
    std::_Exit(code);  // the other thread is in the middle of a request
  }

  Context& context_;
  std::string path_;
  Query query_;
  Api api_;
  bool refused_ = false;
};

int deploy(Context& context, const DeployOptions& options) {
  AppChoice app = options.app;
  if (app.name.empty()) app.name = appNameFor(options.directory);
  if (app.name.empty()) throw UsageError("deploy: the directory's name gives no app name; use --app");
  std::ostream& err = context.streams.err;

  const Archive archive = packDirectory(options.directory);
  err << fmt::format("Packed {} entries of {}\n", archive.entries, options.directory);
  if (archive.skipped > 0) err << fmt::format("Left out {} sockets, pipes or devices\n", archive.skipped);

  if (archive.modulesLeftOut) err << "Left out node_modules; write !node_modules/ into .cloisterignore to send it\n";

  const Query query = scoped(context);
  Query creating = query;
  creating.emplace_back("create", "true");
  if (options.noCache) creating.emplace_back("no_cache", "true");
  if (!options.settle.empty()) creating.emplace_back("settle", options.settle);
  Progress progress(err, archive.size);
  const Response accepted = context.api().upload({.method = "POST",
                                                  .path = appPath(app, "/deployments"),
                                                  .query = creating,
                                                  .body = {},
                                                  .contentType = "application/gzip"},
                                                 archive.file.get(), archive.size, std::ref(progress));
  showNotice(context, *accepted.object());
  if (options.noWait) return followOperation(context, accepted, query, Wait::no, {});

  const std::string build = appPath(app, "/builds/" + segment(text(*accepted.object(), "build")));
  const Interruption interruption(Stopping(context, build, query));
  if (awaitBuild(context, build, query) == "running") err << "building" << std::endl;
  followBuildLog(context, build, query, context.format == Format::json ? err : context.streams.out);
  const std::string operation = "/v1/operations/" + segment(text(*accepted.object(), "id"));
  const Response ended = awaitOperation(context, context.api().send({.path = operation, .query = query}), query);
  const bool succeeded = reportOperation(context, *ended.object());
  if (context.format == Format::json) {
    context.streams.out << ended.body << '\n';
  } else if (succeeded) {
    const auto deployed = context.api().send({.path = appPath(app), .query = query}).object();
    err << printable(fmt::format("Deployed {} {}", app.name, text(*ended.object(), "result"))) << '\n';
    context.streams.out << printable(text(*deployed, "url")) << '\n';
  }
  return succeeded ? 0 : 1;
}

}  // namespace

void addDeployCommand(CLI::App& root, Context& context) {
  const auto options = std::make_shared<DeployOptions>();
  CLI::App* verb = addVerb(root, "deploy", "build and release the source in a directory; prints the app's URL",
                           {"deploy", "deploy examples/nginx", "deploy . --app shop --tenant acme --no-wait"});
  verb->add_option("directory", options->directory,
                   "the source, with cloister.toml or a Procfile (default: the working directory)");
  verb->add_option("-a,--app", options->app.name, "the app, made if absent (default: the directory's name)");
  verb->add_option("--settle", options->settle,
                   "how long a new instance has to stay ready before it takes over, as 10s or 500ms (default: what "
                   "cloister.toml says)");
  verb->add_flag("--no-wait", options->noWait, "return when the source is accepted; do not follow the build");
  verb->add_flag("--no-cache", options->noCache, "run every build command again, whatever did not change");
  onRun(*verb, context, [&context, options] { return deploy(context, *options); });
}

}  // namespace cloister::cli
