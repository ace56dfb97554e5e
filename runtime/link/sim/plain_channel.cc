#include "runtime/link/sim/plain_channel.h"

#include <algorithm>

namespace reef::link {
namespace {

constexpr std::size_t kHeaderSize = 17;  // flags u8 | message u64 | epoch u64

class PlainRecords final : public RecordLink {
 public:
  explicit PlainRecords(std::unique_ptr<Link> link) : link_(std::move(link)) {}

  void start(FrameHandler on_frame, ClosedHandler on_closed) override {
    start_records([on_frame = std::move(on_frame)](const RecordHeader&,
                                                   BytesView body) { on_frame(to_bytes(body)); },
                  std::move(on_closed));
  }
  void start_records(RecordHandler on_record, ClosedHandler on_closed) override {
    link_->start(
        [on_record = std::move(on_record)](const Bytes& frame) {
          if (frame.size() <= kHeaderSize) return;
          const RecordHeader header{std::to_integer<std::uint8_t>(frame[0]),
                                    load<std::uint64_t>(frame.data() + 1),
                                    load<std::uint64_t>(frame.data() + 9)};
          on_record(header, BytesView(frame).subspan(kHeaderSize));
        },
        std::move(on_closed));
  }
  void send(Bytes frame, Deadline deadline, Done done) override {
    const BytesView piece(frame);
    send_record({0, 0, 0}, {&piece, 1}, deadline, std::move(done));
  }
  void send_record(const RecordHeader& header, std::span<const BytesView> pieces, Deadline deadline,
                   Done done) override {
    std::size_t size = kHeaderSize;
    for (const BytesView piece : pieces) size += piece.size();
    Bytes frame;
    frame.reserve(size);
    frame.resize(kHeaderSize);
    store(frame.data(), header.flags);
    store(frame.data() + 1, header.message);
    store(frame.data() + 9, header.epoch);
    for (BytesView piece : pieces) frame.insert(frame.end(), piece.begin(), piece.end());
    link_->send(std::move(frame), deadline, std::move(done));
  }
  void close() override { link_->close(); }
  void set_reading(bool reading) override { link_->set_reading(reading); }
  void set_frame_limit(std::size_t bytes) override { link_->set_frame_limit(bytes); }
  std::size_t record_overhead() const override { return kHeaderSize + 2; }
  std::size_t max_frame() const override { return link_->max_frame() - kHeaderSize; }
  std::size_t queued_bytes() const override { return link_->queued_bytes(); }
  std::string peer_name() const override { return link_->peer_name(); }
  Executor& executor() override { return link_->executor(); }

 private:
  std::unique_ptr<Link> link_;
};

}  // namespace

std::unique_ptr<RecordLink> PlainChannelForTests::records(std::unique_ptr<Link> link) {
  return std::make_unique<PlainRecords>(std::move(link));
}

std::unique_ptr<Channel> PlainChannelForTests::create(std::unique_ptr<Link> link,
                                                      ChannelOptions options) {
  return over_records(records(std::move(link)), options);
}

std::unique_ptr<Channel> PlainChannelForTests::create(std::vector<std::unique_ptr<Link>> links,
                                                      ChannelOptions options) {
  std::vector<std::unique_ptr<RecordLink>> streams;
  for (auto& link : links) streams.push_back(records(std::move(link)));
  return std::unique_ptr<Channel>(new Channel(std::move(streams), nullptr, options));
}

std::unique_ptr<Channel> PlainChannelForTests::over_records(std::unique_ptr<RecordLink> link,
                                                            ChannelOptions options) {
  std::vector<std::unique_ptr<RecordLink>> streams;
  streams.push_back(std::move(link));
  return std::unique_ptr<Channel>(new Channel(std::move(streams), nullptr, options));
}

}  // namespace reef::link
