#include "common/program.h"

#include <cstdio>
#include <exception>
#include <string>

#include "core/standard_streams.h"

namespace moesaic {
namespace {

int outcome(const std::function<int()>& work) {
  try {
    return work();
  } catch (const NoReader&) {
    return kExitNoReader;
  } catch (const Error& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    if (!error.hint().empty()) std::fprintf(stderr, "hint: %s\n", error.hint().c_str());
    return error.exit_code();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return static_cast<int>(ErrorKind::kInternal);
  }
}

}  // namespace

int run_program(const std::function<int()>& work) {
  open_standard_streams();
  const int worked = outcome(work);
  const int written = outcome([] { return flush_stdout(), 0; });
  return worked != 0 ? worked : written;
}

}  // namespace moesaic
