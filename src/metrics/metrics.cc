// SPDX-License-Identifier: Apache-2.0

#include "metrics/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/check.h"

namespace hami::metrics {
namespace {

// Labels may not have the colon; names that begin with __ and "le" of a histogram are taken.
bool IsName(std::string_view name, bool is_label) {
  if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return false;
  if (is_label && (name.starts_with("__") || name == "le")) return false;
  return std::all_of(name.begin(), name.end(), [is_label](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (c == ':' && !is_label);
  });
}

void AppendEscaped(std::string_view text, bool quotes, std::string* out) {
  // Nearly all have nothing to escape.
  const size_t plain = std::min(text.find_first_of(quotes ? "\\\n\"" : "\\\n"), text.size());
  *out += text.substr(0, plain);
  for (const char c : text.substr(plain)) {
    if (c == '\\') {
      *out += "\\\\";
    } else if (c == '\n') {
      *out += "\\n";
    } else if (c == '"' && quotes) {
      *out += "\\\"";
    } else {
      *out += c;
    }
  }
}

void AppendNumber(double value, std::string* out) {
  if (std::isnan(value)) {
    *out += "NaN";
  } else if (std::isinf(value)) {
    *out += value > 0 ? "+Inf" : "-Inf";
  } else if (value == std::floor(value) && std::abs(value) < 1e15) {
    fmt::format_to(std::back_inserter(*out), "{}", static_cast<int64_t>(value));
  } else {
    fmt::format_to(std::back_inserter(*out), "{}", value);
  }
}

// name{label="value",...} VALUE; `bound` is a histogram's le, empty for none.
template <typename Values>
void AppendLine(std::string_view name, std::string_view suffix, const Registry::Labels& labels,
                const Values& values, std::string_view bound, double value, std::string* out) {
  *out += name;
  *out += suffix;
  char before = '{';
  const auto append = [&before, out](std::string_view label, std::string_view text) {
    *out += before;
    *out += label;
    *out += "=\"";
    AppendEscaped(text, /*quotes=*/true, out);
    *out += '"';
    before = ',';
  };
  auto text = values.begin();
  for (const std::string& label : labels) append(label, *text++);
  if (!bound.empty()) append("le", bound);
  if (before == ',') *out += '}';
  *out += ' ';
  AppendNumber(value, out);
  *out += '\n';
}

}  // namespace

Histogram::Histogram(const std::vector<double>& bounds)
    : bounds_(bounds), counts_(std::make_unique<std::atomic<uint64_t>[]>(bounds.size() + 1)) {
  CHECK(std::is_sorted(bounds_.begin(), bounds_.end(), std::less_equal<>()));
}

void Histogram::Observe(double value) {
  const auto bucket = std::lower_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin();
  counts_[static_cast<size_t>(bucket)].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(value, std::memory_order_relaxed);
}

std::vector<uint64_t> Histogram::counts() const {
  std::vector<uint64_t> counts(bounds_.size() + 1);
  for (size_t i = 0; i < counts.size(); ++i) {
    counts[i] = counts_[i].load(std::memory_order_relaxed);
  }
  return counts;
}

const std::vector<double>& LatencyBounds() {
  static const std::vector<double> bounds = {0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1,
                                             0.2,   0.5,   1,     2,    5,    10,   30};
  return bounds;
}

template <typename Metric>
Metric& Family<Metric>::With(const LabelValues& values) {
  CHECK(values.size() == labels_);
  const std::lock_guard lock(mutex_);
  std::unique_ptr<Metric>& metric = metrics_[values];
  if (metric == nullptr) metric = make_();
  return *metric;
}

template <typename Metric>
void Family<Metric>::Remove(const LabelValues& values) {
  const std::lock_guard lock(mutex_);
  metrics_.erase(values);
}

template class Family<Counter>;
template class Family<Gauge>;
template class Family<Histogram>;

struct Registry::Entry {
  std::string name;
  std::string help;
  const char* type;
  Labels labels;
  // One of these.
  std::unique_ptr<Family<Counter>> counters;
  std::unique_ptr<Family<Gauge>> gauges;
  std::unique_ptr<Family<Histogram>> histograms;
  std::function<void(Samples*)> read;

  void AppendTo(std::string* out) const {
    *out += "# HELP " + name + ' ';
    AppendEscaped(help, /*quotes=*/false, out);
    *out += "\n# TYPE " + name + ' ' + type + '\n';
    if (counters != nullptr) AppendFamily(*counters, out);
    if (gauges != nullptr) AppendFamily(*gauges, out);
    if (histograms != nullptr) AppendHistograms(out);
    if (read) {
      Samples samples(name, labels, out);
      read(&samples);
    }
  }

  template <typename Metric>
  void AppendFamily(const Family<Metric>& family, std::string* out) const {
    const std::lock_guard lock(family.mutex_);
    for (const auto& [values, metric] : family.metrics_) {
      AppendLine(name, "", labels, values, "", metric->value(), out);
    }
  }

  void AppendHistograms(std::string* out) const {
    const std::lock_guard lock(histograms->mutex_);
    for (const auto& [values, histogram] : histograms->metrics_) {
      const std::vector<uint64_t> counts = histogram->counts();
      uint64_t total = 0;
      std::string bound;
      for (size_t i = 0; i < counts.size(); ++i) {
        total += counts[i];
        bound.clear();
        AppendNumber(i < histogram->bounds().size() ? histogram->bounds()[i]
                                                    : std::numeric_limits<double>::infinity(),
                     &bound);
        AppendLine(name, "_bucket", labels, values, bound, static_cast<double>(total), out);
      }
      AppendLine(name, "_sum", labels, values, "", histogram->sum(), out);
      AppendLine(name, "_count", labels, values, "", static_cast<double>(total), out);
    }
  }
};

void Samples::Add(std::initializer_list<std::string_view> values, double value) {
  CHECK(values.size() == labels_.size());
  AppendLine(name_, "", labels_, values, "", value, text_);
}

void Samples::MakeRoom() {
  if (room() >= kRoom) return;
  text_->reserve(std::max(2 * text_->capacity(), text_->size() + kRoom));
}

Registry::Registry() = default;
Registry::~Registry() = default;

Registry::Entry& Registry::Add(const char* type, std::string_view name, std::string_view help,
                               const Labels& labels) {
  CHECK(IsName(name, /*is_label=*/false));
  for (const std::string& label : labels) CHECK(IsName(label, /*is_label=*/true));
  for (const auto& entry : entries_) CHECK(entry->name != name);
  entries_.push_back(std::make_unique<Entry>());
  Entry& entry = *entries_.back();
  entry.name = name;
  entry.help = help;
  entry.type = type;
  entry.labels = labels;
  return entry;
}

Family<Counter>& Registry::AddCounter(std::string_view name, std::string_view help,
                                      const Labels& labels) {
  const std::lock_guard lock(mutex_);
  Entry& entry = Add("counter", name, help, labels);
  entry.counters.reset(
      new Family<Counter>(labels.size(), [] { return std::make_unique<Counter>(); }));
  return *entry.counters;
}

Family<Gauge>& Registry::AddGauge(std::string_view name, std::string_view help,
                                  const Labels& labels) {
  const std::lock_guard lock(mutex_);
  Entry& entry = Add("gauge", name, help, labels);
  entry.gauges.reset(new Family<Gauge>(labels.size(), [] { return std::make_unique<Gauge>(); }));
  return *entry.gauges;
}

Family<Histogram>& Registry::AddHistogram(std::string_view name, std::string_view help,
                                          const std::vector<double>& bounds, const Labels& labels) {
  const std::lock_guard lock(mutex_);
  Entry& entry = Add("histogram", name, help, labels);
  entry.histograms.reset(new Family<Histogram>(
      labels.size(), [bounds] { return std::make_unique<Histogram>(bounds); }));
  return *entry.histograms;
}

void Registry::AddCallback(Type type, std::string_view name, std::string_view help,
                           const Labels& labels, std::function<void(Samples*)> read) {
  const std::lock_guard lock(mutex_);
  Add(type == Type::kCounter ? "counter" : "gauge", name, help, labels).read = std::move(read);
}

void Registry::AddCallback(Type type, std::string_view name, std::string_view help,
                           std::function<double()> read) {
  AddCallback(type, name, help, {},
              [read = std::move(read)](Samples* samples) { samples->Add({}, read()); });
}

std::string Registry::Text() const {
  const std::lock_guard lock(mutex_);
  std::string text;
  // A text that grows is there twice while it is copied: of a large cluster that is 100 MiB more.
  text.reserve(last_size_ + last_size_ / 8);
  for (const auto& entry : entries_) entry->AppendTo(&text);
  last_size_ = text.size();
  return text;
}

}  // namespace hami::metrics
