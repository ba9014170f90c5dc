#include <fmt/format.h>

#include <chrono>
#include <ostream>
#include <thread>

#include "api/cli/archive.h"
#include "api/cli/commands.h"
#include "sandbox/base/caller_terminal.h"

namespace cloister::cli {
namespace {

struct DeployOptions {
  std::string directory = ".";
  AppChoice app;
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

// Shows the build's output until the build has ended. The log is kept by the server, so after a broken connection it is
// read again from its start and what was shown is skipped.
void followBuildLog(Context& context, const std::string& path, const Query& query, std::ostream& out) {
  constexpr auto kPatience = std::chrono::seconds(60);
  Query following = query;
  following.emplace_back("follow", "true");
  std::uint64_t shown = 0;
  auto answered = std::chrono::steady_clock::now();
  while (true) {
    std::uint64_t position = 0;
    try {
      static_cast<void>(context.api().text({.path = path + "/log", .query = following}, [&](const std::string& part) {
        const std::uint64_t skip = shown > position ? std::min<std::uint64_t>(shown - position, part.size()) : 0;
        position += part.size();
        const std::string fresh = part.substr(skip);
        shown += fresh.size();
        for (std::size_t at = 0; at < fresh.size();) {
          const std::size_t end = std::min(fresh.find('\n', at), fresh.size());
          out << printable(lastDrawn(std::string_view(fresh).substr(at, end - at)), Colour::keep);
          if (end < fresh.size()) out << '\n';
          at = end + 1;
        }
        out << std::flush;
        return out ? Flow::next : Flow::stop;
      }));
      const auto build = context.api().send({.path = path, .query = query}).object();
      const std::string state = text(*build, "state");
      if (!out || (state != "queued" && state != "running")) return;
      answered = std::chrono::steady_clock::now();
    } catch (const TransportError&) {
      if (std::chrono::steady_clock::now() - answered > kPatience) throw;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
}

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
  Progress progress(err, archive.size);
  const Response accepted = context.api().upload({.method = "POST",
                                                  .path = appPath(app, "/deployments"),
                                                  .query = creating,
                                                  .body = {},
                                                  .contentType = "application/gzip"},
                                                 archive.file.get(), archive.size, std::ref(progress));
  if (options.noWait) return followOperation(context, accepted, query, Wait::no, {});

  const std::string build = text(*accepted.object(), "build");
  if (!build.empty()) {
    std::ostream& log = context.format == Format::json ? err : context.streams.out;
    followBuildLog(context, appPath(app, "/builds/" + segment(build)), query, log);
  }
  // The build has ended meanwhile: what is under way now is asked anew.
  const Response now =
      context.api().send({.path = "/v1/operations/" + segment(text(*accepted.object(), "id")), .query = query});
  const Response ended = awaitOperation(context, now, query);
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
  verb->add_flag("--no-wait", options->noWait, "return when the source is accepted; do not follow the build");
  verb->add_flag("--no-cache", options->noCache, "run every build command again, whatever did not change");
  onRun(*verb, context, [&context, options] { return deploy(context, *options); });
}

}  // namespace cloister::cli
