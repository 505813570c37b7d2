#include "observe/tensorboard_sink.h"

#include <unistd.h>

#include <cmath>

#include "core/clock.h"
#include "core/fs.h"
#include "core/host_name.h"
#include "observe/event.h"

namespace moesaic {
namespace {

// Microseconds keep the names of two starts within one second in order.
std::string file_name(double now) {
  const double whole = std::floor(now);
  return format("events.out.tfevents.{:010.0f}.{:06.0f}.{}.{}", whole,
                std::floor((now - whole) * 1e6), host_name(), ::getpid());
}

}  // namespace

TensorBoardSink::TensorBoardSink(const Options& options) {
  make_folder(options.folder);
  const double now = unix_time();
  file_ = AppendFile(options.folder + "/" + file_name(now));
  file_.append(event::record(event::file_version(now)));
  file_.append(event::record(event::session_start(now, options.resume_step + 1)));
}

void TensorBoardSink::write(const MetricsRow& row) {
  file_.append(event::record(event::summary(unix_time(), row)));
}

}  // namespace moesaic
