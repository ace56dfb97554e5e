#include "runtime/link/channel/streams.h"

#include <algorithm>
#include <utility>

namespace reef::link {
namespace {

/// The handshakes of one bundle. Held by the callbacks that are on their way.
class Dialling : public std::enable_shared_from_this<Dialling> {
 public:
  Dialling(std::size_t count, std::function<void(Result<Streams>)> done)
      : links_(count), missing_(count), done_(std::move(done)) {}

  void begin(const OpenStream& open, const secure::Local& local,
             const secure::ExpectedPeer& expected, const secure::StreamId& stream,
             const tcp::SocketOptions& options, Deadline deadline) {
    const auto sealed = [self = shared_from_this(), index = stream.stream](auto link) {
      self->finished(index, std::move(link));
    };
    open(stream, options, deadline,
         [self = shared_from_this(), local, expected, stream, deadline, sealed](auto plain) {
           if (!plain.ok()) return self->finished(stream.stream, plain.error());
           secure::connect(std::move(*plain), local, expected, stream, deadline, sealed);
         });
  }

 private:
  void finished(std::size_t index, Result<std::unique_ptr<secure::SecureLink>> link) {
    if (!done_) return;
    if (!link.ok()) {
      links_.clear();
      return std::exchange(done_, nullptr)(link.error());
    }
    links_[index] = std::move(*link);
    if (--missing_ == 0) std::exchange(done_, nullptr)(std::move(links_));
  }

  Streams links_;
  std::size_t missing_;
  std::function<void(Result<Streams>)> done_;
};

}  // namespace

void connect_streams(const OpenStream& open, const secure::Local& local,
                     const secure::ExpectedPeer& expected, const StreamOptions& options,
                     Deadline deadline, std::function<void(Result<Streams>)> done) {
  secure::StreamId stream{.stream = 0,
                          .streams = static_cast<std::uint16_t>(options.data + 1),
                          .bundle = {},
                          .purpose = options.purpose,
                          .epoch = options.epoch};
  security::random_bytes(stream.bundle);
  const auto dialling = std::make_shared<Dialling>(stream.streams, std::move(done));
  for (; stream.stream < stream.streams; ++stream.stream) {
    dialling->begin(open, local, expected, stream,
                    stream.stream == 0 ? options.control : options.socket, deadline);
  }
}

void connect_streams(Loop& loop, const std::string& host, std::uint16_t port,
                     const secure::Local& local, const secure::ExpectedPeer& expected,
                     const StreamOptions& options, Deadline deadline,
                     std::function<void(Result<Streams>)> done) {
  const OpenStream dial = [&loop, &host, port](const secure::StreamId&,
                                               const tcp::SocketOptions& socket, Deadline until,
                                               tcp::Dialled dialled) {
    tcp::dial(loop, host, port, until, std::move(dialled), socket);
  };
  connect_streams(dial, local, expected, options, deadline, std::move(done));
}

StreamGatherer::StreamGatherer(Executor& executor, Complete complete)
    : executor_(executor), complete_(std::move(complete)) {}

void StreamGatherer::add(std::unique_ptr<secure::SecureLink> link) {
  const secure::StreamId& id = link->stream();
  if (id.streams == 1) {
    Streams alone;
    alone.push_back(std::move(link));
    return complete_(std::move(alone));
  }
  const Key key{link->peer().noise_key, id.bundle};
  auto found = bundles_.find(key);
  if (found == bundles_.end()) {
    const auto of_one = std::count_if(bundles_.begin(), bundles_.end(), [&key](const auto& entry) {
      return entry.first.first == key.first;
    });
    if (bundles_.size() == kMost || of_one == kMostOfOne) return;
    found = bundles_.emplace(key, Bundle{Streams(id.streams), id.streams}).first;
    executor_.at(executor_.clock().now() + secure::kHandshakeTime,
                 [this, key, alive = std::weak_ptr(alive_)] {
                   if (!alive.expired()) bundles_.erase(key);
                 });
  }
  Bundle& bundle = found->second;
  if (bundle.links.size() != id.streams || bundle.links[id.stream] != nullptr) {
    bundles_.erase(found);
    return;
  }
  bundle.links[id.stream] = std::move(link);
  if (--bundle.missing > 0) return;
  Streams links = std::move(bundle.links);
  bundles_.erase(found);
  complete_(std::move(links));
}

}  // namespace reef::link
