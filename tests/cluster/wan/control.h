#pragma once
// Commands to a running line: one a text line, on standard input and on a Unix socket, answered by
// one line of JSON at the same place.
//
// Whoever started the line holds the other end of its standard input: when that ends, the line
// ends, so that no line outlives a test that was killed.
//
// Thread: one, that of the relay, which polls. Memory: a command has at most 1,024 bytes and there
// are at most 8 connections; more are closed at once. An answer that a connection does not take
// closes it.

#include <poll.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/error.h"

namespace reef::wan {

class Control {
 public:
  using Answer = std::function<std::string(std::string_view command)>;

  /// `with_input`: listens to standard input. `path`: and on this Unix socket, if not empty; kPath
  /// if it cannot be made, for instance because the file exists.
  static Result<std::unique_ptr<Control>> open(bool with_input, const std::string& path,
                                               Answer answer);
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;
  /// Removes the socket's file.
  ~Control();

  /// Adds what has to be polled.
  void add_to(std::vector<pollfd>& polled) const;
  /// Reads and answers what is ready in `polled`, from what add_to() added. False: standard input
  /// has ended.
  bool serve(const std::vector<pollfd>& polled);

 private:
  struct Source {
    int in, out;
    std::string text;  ///< of a command whose end has not come
  };

  Control(Answer answer) : answer_(std::move(answer)) {}
  void accept_one();
  /// False: the source has ended or broken the rules.
  bool read_from(Source& source);
  bool answer_to(const Source& source, std::string_view command);

  const Answer answer_;
  int listener_ = -1;
  std::string path_;
  std::vector<Source> sources_;
};

}  // namespace reef::wan
