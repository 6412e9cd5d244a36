// SPDX-License-Identifier: Apache-2.0
//
// Counters, gauges and histograms, and their text for Prometheus (exposition format 0.0.4).
//
//   metrics::Registry registry;
//   auto& prepares = registry.AddCounter("hami_prepare_total", "Claims prepared.", {"result"});
//   metrics::Counter& prepared = prepares.With({"ok"});   // look up once, keep
//   prepared.Add();
//   ... .body = registry.Text(), .content_type = metrics::kContentType
//
// Any thread. Adding to a metric is one atomic operation (a histogram: three); With takes a lock.
// References stay good as long as the registry, and until Remove of these labels. A name that is
// not allowed, is taken, or has another number of labels is a bug (CHECK).

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hami::metrics {

inline constexpr char kContentType[] = "text/plain; version=0.0.4; charset=utf-8";

class Counter {
 public:
  void Add(double amount = 1) { value_.fetch_add(amount, std::memory_order_relaxed); }
  double value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

class Gauge {
 public:
  void Set(double value) { value_.store(value, std::memory_order_relaxed); }
  void Add(double amount) { value_.fetch_add(amount, std::memory_order_relaxed); }
  double value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

class Histogram {
 public:
  // Upper bounds, ascending, without infinity.
  explicit Histogram(const std::vector<double>& bounds);

  void Observe(double value);

  const std::vector<double>& bounds() const { return bounds_; }
  std::vector<uint64_t> counts() const;  // one more than bounds; not yet summed up
  double sum() const { return sum_.load(std::memory_order_relaxed); }

 private:
  const std::vector<double> bounds_;
  const std::unique_ptr<std::atomic<uint64_t>[]> counts_;
  std::atomic<double> sum_{0};
};

// For seconds: 1 ms to 30 s.
const std::vector<double>& LatencyBounds();

using LabelValues = std::vector<std::string>;

// All metrics of one name, by the values of its labels.
template <typename Metric>
class Family {
 public:
  // Made at the first call. As many values as the family has labels.
  Metric& With(const LabelValues& values);
  // The metric is gone; who keeps a reference must not use it any more.
  void Remove(const LabelValues& values);

 private:
  friend class Registry;
  Family(size_t labels, std::function<std::unique_ptr<Metric>()> make)
      : labels_(labels), make_(std::move(make)) {}

  const size_t labels_;
  const std::function<std::unique_ptr<Metric>()> make_;
  mutable std::mutex mutex_;
  std::map<LabelValues, std::unique_ptr<Metric>> metrics_;
};

extern template class Family<Counter>;
extern template class Family<Gauge>;
extern template class Family<Histogram>;

// Where a callback says what it knows, at each scrape.
class Samples {
 public:
  // As many values as the callback was added with labels.
  void Add(std::initializer_list<std::string_view> values, double value);
  // For who is about to hold a lock: the next kRoom bytes move nothing that is written already,
  // which may be a hundred times as much.
  void MakeRoom();
  size_t room() const { return text_->capacity() - text_->size(); }
  static constexpr size_t kRoom = 1 << 20;

 private:
  friend class Registry;
  Samples(const std::string& name, const std::vector<std::string>& labels, std::string* text)
      : name_(name), labels_(labels), text_(text) {}

  const std::string& name_;
  const std::vector<std::string>& labels_;
  std::string* const text_;
};

enum class Type : uint8_t { kCounter, kGauge };

class Registry {
 public:
  using Labels = std::vector<std::string>;

  Registry();
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  Family<Counter>& AddCounter(std::string_view name, std::string_view help,
                              const Labels& labels = {});
  Family<Gauge>& AddGauge(std::string_view name, std::string_view help, const Labels& labels = {});
  Family<Histogram>& AddHistogram(std::string_view name, std::string_view help,
                                  const std::vector<double>& bounds, const Labels& labels = {});

  // Values that somebody else keeps: `read` is called for each Text, on its thread, and may not
  // call the registry.
  void AddCallback(Type type, std::string_view name, std::string_view help, const Labels& labels,
                   std::function<void(Samples*)> read);
  // The same for a single value.
  void AddCallback(Type type, std::string_view name, std::string_view help,
                   std::function<double()> read);

  // In the order in which the families were added, by label values within them.
  std::string Text() const;

 private:
  struct Entry;
  Entry& Add(const char* type, std::string_view name, std::string_view help, const Labels& labels);

  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<Entry>> entries_;
  mutable size_t last_size_ = 0;  // of Text
};

}  // namespace hami::metrics
