// SPDX-License-Identifier: Apache-2.0

#include "ctl/run.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json_writer.h"
#include "ctl/agent_socket.h"
#include "ctl/command_line.h"
#include "ctl/end_tree.h"
#include "ctl/loader_cache.h"
#include "ctl/notice.h"
#include "ctl/preload_library.h"
#include "ctl/process_tree.h"
#include "ctl/region_file.h"
#include "ctl/run_options.h"
#include "ctl/slice.h"
#include "ctl/supervisor.h"

namespace hami::ctl {
namespace {

using Kind = SupervisorEvent::Kind;

constexpr int kNotExecutable = 126;
constexpr int kNotFound = 127;

int Complain(const Error& error) {
  Notice(error.message);
  return ExitCode(error.code);
}

std::string DescribeSlice(const Slice& slice) {
  const Booking& booking = slice.booking;
  const std::string cores = booking.cores_pct > 0 ? fmt::format("{} % of compute", booking.cores_pct)
                                                  : "no compute limit";
  return fmt::format("slice {}: {} and {} of GPU {} ({}, {}){}", booking.name,
                     base::FormatBytes(booking.memory_bytes), cores, booking.device_index,
                     booking.device_name, booking.device_uuid,
                     booking.simulation.empty() ? "" : "; this GPU is simulated");
}

class Run {
 public:
  Run(const RunOptions& options, std::vector<std::string> arguments)
      : options_(options), arguments_(std::move(arguments)) {}

  int Main() {
    HoldSignals();
    environment_ = ReadEnvironment(environ);
    const Result<std::string> program = FindProgram(options_.command[0], environment_["PATH"]);
    if (!program) {
      Notice(program.error().message);
      return program.error().code == Code::kNotFound ? kNotFound : kNotExecutable;
    }
    Result<DriverChoice> driver = ChooseDriver(options_.simulation, arguments_);
    if (!driver) return Complain(driver.error());
    driver_ = std::move(*driver);
    Result<StateFolder> state = StateFolder::Open();
    if (!state) return Complain(state.error());
    state_ = std::move(*state);
    Result<Slice> slice = TakeSlice(*state_, driver_, options_);
    if (!slice) return Complain(slice.error());
    slice_ = std::move(*slice);

    const Status served = Serve(*program);
    if (!served) exit_code_ = Complain(served.error());
    Finish();
    return exit_code_;
  }

 private:
  // From here on the signals that are passed on to CMD are read, not obeyed.
  void HoldSignals() {
    sigset_t held;
    sigemptyset(&held);
    for (const int number : kForwardedSignals) sigaddset(&held, number);
    sigaddset(&held, SIGCHLD);
    sigprocmask(SIG_BLOCK, &held, &original_mask_);
    signals_ = base::Fd(signalfd(-1, &held, SFD_CLOEXEC | SFD_NONBLOCK));
  }

  Status Serve(const std::string& program) {
    ASSIGN_OR_RETURN(const PreloadLibrary library, FindPreloadLibrary());
    ASSIGN_OR_RETURN(listener_, ListenForTenants(slice_.folder));
    SupervisorSpec spec;
    RETURN_IF_ERROR(Describe(program, library, &spec));
    RETURN_IF_ERROR(StartTree(&spec, library));
    if (supervisor_) Watch();
    return {};
  }

  Status Describe(const std::string& program, const PreloadLibrary& library, SupervisorSpec* spec) {
    EnclosureSpec enclosure;
    enclosure.stage_folder = state_->stage();
    enclosure.shares_folder = state_->shares();
    enclosure.share_folder = slice_.folder;
    enclosure.share_name = slice_.booking.name;
    enclosure.library = library.content;
    environment_["CUDA_VISIBLE_DEVICES"] = slice_.booking.device_uuid;
    environment_["NVIDIA_VISIBLE_DEVICES"] = slice_.booking.device_uuid;
    if (!driver_.simulation.empty()) {
      const std::string& folder = driver_.location.library_folder;
      PrependToList(&environment_, "LD_LIBRARY_PATH", folder);
      PrependToList(&environment_, "PATH", driver_.simulation + "/bin");
      const Result<std::string> cache = BuildLoaderCache(folder, slice_.folder);
      if (cache) enclosure.loader_cache = *cache;
      else Notice("without ldconfig a program that clears LD_LIBRARY_PATH finds no simulated driver");
    }
    spec->enclosure = std::move(enclosure);
    spec->program = program;
    if (spec->program.find('/') == std::string::npos) spec->program = "./" + spec->program;
    spec->command = options_.command;
    spec->environment = FlattenEnvironment(environment_);
    spec->signal_mask = original_mask_;
    return {};
  }

  // Starts the supervisor; where the system forbids the namespace once more without.
  Status StartTree(SupervisorSpec* spec, const PreloadLibrary& library) {
    if (!options_.quiet) Notice(DescribeSlice(slice_));
    ASSIGN_OR_RETURN(Supervisor started, Supervisor::Start(*spec));
    SupervisorEvent event = started.Read();
    if (event.kind == Kind::kRefused) {
      started.Reap();
      if (event.code != Code::kPermissionDenied && event.code != Code::kUnimplemented) {
        return Fail(event.code, event.text);
      }
      ASSIGN_OR_RETURN(const std::string path, KeepPreloadLibrary(*state_, library));
      RETURN_IF_ERROR(MarkDegraded(&slice_));
      Notice("this system allows no mount namespace here (" + event.text +
             "); the limits hold through LD_PRELOAD, which a program can undo");
      PrependToList(&environment_, "LD_PRELOAD", path);
      environment_["HAMI_SHARES"] = slice_.folder;
      spec->enclosure.reset();
      spec->environment = FlattenEnvironment(environment_);
      ASSIGN_OR_RETURN(started, Supervisor::Start(*spec));
      event = started.Read();
    }
    if (event.kind == Kind::kStarted) {
      supervisor_.emplace(std::move(started));
      return {};
    }
    started.Reap();
    if (event.kind != Kind::kExecFailed) return Fail(Code::kInternal, "the supervisor ended early");
    Notice(fmt::format("{}: {}", spec->program, std::strerror(event.value)));
    exit_code_ = event.value == ENOENT ? kNotFound : kNotExecutable;
    return {};
  }

  void Watch() {
    StartAgent();
    bool over = false;
    while (!over) {
      pollfd ready[3] = {{signals_.get(), POLLIN, 0},
                         {supervisor_->fd(), POLLIN, 0},
                         {listener_.get(), POLLIN, 0}};
      if (poll(ready, 3, -1) < 0 && errno != EINTR) break;
      if ((ready[2].revents & POLLIN) != 0) AnswerTenants(listener_);
      if ((ready[0].revents & POLLIN) != 0) PassSignals();
      if (ready[1].revents != 0) over = Handle(supervisor_->Read());
    }
    supervisor_->Reap();
  }

  void StartAgent() {
    ShareAgentSpec spec;
    spec.nvml = driver_.nvml.get();
    spec.region_path = slice_.folder + "/region";
    spec.device_uuid = slice_.booking.device_uuid;
    spec.limit_bytes = slice_.booking.memory_bytes;
    spec.tree_root = getpid();
    spec.on_escape = options_.on_escape;
    Result<std::unique_ptr<ShareAgent>> agent = ShareAgent::Start(spec);
    if (agent) agent_ = std::move(*agent);
    else Notice("nobody watches the driver's own figures: " + agent.error().message);
  }

  void PassSignals() {
    signalfd_siginfo info = {};
    while (read(signals_.get(), &info, sizeof(info)) == sizeof(info)) {
      if (info.ssi_signo == SIGCHLD) continue;
      const SignalEvent event = FromSignalfd(info);
      supervisor_->Forward(event);
      // The shell waits for this process to stop, not for CMD.
      if (event.number == SIGTSTP) kill(getpid(), SIGSTOP);
    }
  }

  // True when the run is over.
  bool Handle(const SupervisorEvent& event) {
    switch (event.kind) {
      case Kind::kEnded:
        exit_code_ = ExitCodeOf(event.value);
        return false;
      case Kind::kStuck:
        Notice(fmt::format("{} processes do not end, even by SIGKILL; waiting for them, they may "
                           "hold the slice",
                           event.value));
        return false;
      case Kind::kTreeGone:
        return true;
      case Kind::kLost:
        Notice("the supervisor was killed; ending what it had started");
        EndOrphans();
        exit_code_ = 1;
        return true;
      default:
        return false;
    }
  }

  // The supervisor's children are ours now, because we are a subreaper.
  static void EndOrphans() {
    TreeEnding ending(base::SystemClock().MonotonicNs());
    ending.Hurry();
    while (ReapEnded()) {
      int refused = 0;
      switch (ending.Step(base::SystemClock().MonotonicNs())) {
        case TreeEnding::Action::kNothing: break;
        case TreeEnding::Action::kTerminate: SignalTree(SIGTERM, &refused); break;
        case TreeEnding::Action::kKill: SignalTree(SIGKILL, &refused); break;
      }
      if (ending.IsStuck(base::SystemClock().MonotonicNs())) return;
      usleep(10'000);
    }
  }

  void Finish() {
    DeviceView device;
    if (const Result<RegionFile> region = RegionFile::Open(slice_.folder + "/region")) {
      if (const Result<DeviceView> seen = region->ReadDevice(0)) device = *seen;
    }
    ShareFigures figures;
    bool agent_stopped = true;
    if (agent_) {
      agent_stopped = agent_->Stop(&figures);
      if (agent_stopped) agent_.reset();
    }
    if (!options_.json_path.empty()) WriteRecord(device, figures);
    const Status returned = ReturnSlice(*state_, &slice_);
    if (!returned) Notice("the slice stays taken: " + returned.error().message);
    // A thread that hangs in the driver cannot be joined; nothing is left to destroy by force.
    if (!agent_stopped) _exit(exit_code_);
  }

  void WriteRecord(const DeviceView& device, const ShareFigures& figures) {
    const Booking& booking = slice_.booking;
    base::JsonWriter json;
    json.BeginObject();
    json.Key("name").Value(booking.name);
    json.Key("device").Value(booking.device_uuid);
    json.Key("device_name").Value(booking.device_name);
    json.Key("simulated").Value(!booking.simulation.empty());
    json.Key("memory_bytes").Value(booking.memory_bytes);
    json.Key("cores_pct").Value(booking.cores_pct);
    json.Key("degraded").Value(booking.degraded);
    json.Key("exit_code").Value(exit_code_);
    json.Key("memory_high_water_bytes").Value(figures.memory_high_water_bytes);
    json.Key("refused_allocations").Value(device.refused);
    json.Key("charged_gpu_ns").Value(device.charged_gpu_ns);
    json.Key("throttled_ns").Value(device.throttled_ns);
    json.Key("escapes").Value(figures.escapes);
    json.EndObject();
    const std::string text = std::move(json).Take() + "\n";
    if (options_.json_path == "-") {
      std::fputs(text.c_str(), stdout);
      std::fflush(stdout);
      return;
    }
    const Status written = base::WriteFileAtomically(options_.json_path, text, 0644);
    if (!written) Notice("no record: " + written.error().message);
  }

  const RunOptions& options_;
  const std::vector<std::string> arguments_;
  sigset_t original_mask_ = {};
  base::Fd signals_;
  std::map<std::string, std::string> environment_;
  DriverChoice driver_;
  std::optional<StateFolder> state_;
  Slice slice_;
  base::Fd listener_;
  std::optional<Supervisor> supervisor_;
  std::unique_ptr<ShareAgent> agent_;
  int exit_code_ = 1;
};

}  // namespace

int RunMain(const std::vector<std::string>& arguments) {
  const Result<RunOptions> options = ParseRunOptions(arguments);
  if (!options) {
    Notice(options.error().message + "\nSee `hami run --help`.");
    return ExitCode(options.error().code);
  }
  if (options->help) {
    std::fputs(std::string(RunHelp()).c_str(), stdout);
    return 0;
  }
  return Run(*options, arguments).Main();
}

}  // namespace hami::ctl
