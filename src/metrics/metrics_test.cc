// SPDX-License-Identifier: Apache-2.0

#include "metrics/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <future>
#include <limits>
#include <string>
#include <vector>

namespace hami::metrics {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(MetricsTest, CountersAndGauges) {
  Registry registry;
  auto& requests = registry.AddCounter("hami_requests_total", "Requests.", {"verb", "code"});
  requests.With({"get", "200"}).Add();
  requests.With({"get", "200"}).Add(2);
  requests.With({"delete", "404"}).Add();
  registry.AddGauge("hami_up", "One.").With({}).Set(-1.5);
  EXPECT_EQ(registry.Text(),
            "# HELP hami_requests_total Requests.\n"
            "# TYPE hami_requests_total counter\n"
            "hami_requests_total{verb=\"delete\",code=\"404\"} 1\n"
            "hami_requests_total{verb=\"get\",code=\"200\"} 3\n"
            "# HELP hami_up One.\n"
            "# TYPE hami_up gauge\n"
            "hami_up -1.5\n");
}

TEST(MetricsTest, AHistogramSumsUp) {
  Registry registry;
  auto& histogram = registry.AddHistogram("t", "Time.", {0.1, 1}, {"x"}).With({"y"});
  for (const double value : {0.05, 0.1, 0.5, 7.0}) histogram.Observe(value);
  EXPECT_EQ(registry.Text(),
            "# HELP t Time.\n"
            "# TYPE t histogram\n"
            "t_bucket{x=\"y\",le=\"0.1\"} 2\n"
            "t_bucket{x=\"y\",le=\"1\"} 3\n"
            "t_bucket{x=\"y\",le=\"+Inf\"} 4\n"
            "t_sum{x=\"y\"} 7.65\n"
            "t_count{x=\"y\"} 4\n");
}

TEST(MetricsTest, WhateverALabelHoldsIsEscaped) {
  Registry registry;
  registry.AddGauge("g", "a \\ b\nc \"d\"", {"l"}).With({"\\\"\n\xc3\xa9"}).Set(1);
  EXPECT_EQ(registry.Text(),
            "# HELP g a \\\\ b\\nc \"d\"\n"
            "# TYPE g gauge\n"
            "g{l=\"\\\\\\\"\\n\xc3\xa9\"} 1\n");
}

TEST(MetricsTest, NumbersOfEveryKind) {
  Registry registry;
  auto& gauge = registry.AddGauge("g", "").With({});
  const struct {
    double value;
    const char* text;
  } kCases[] = {{0, "g 0\n"},
                {85899345920, "g 85899345920\n"},
                {0.1, "g 0.1\n"},
                {1e300, "g 1e+300\n"},
                {std::numeric_limits<double>::infinity(), "g +Inf\n"},
                {-std::numeric_limits<double>::infinity(), "g -Inf\n"},
                {std::nan(""), "g NaN\n"}};
  for (const auto& item : kCases) {
    gauge.Set(item.value);
    EXPECT_THAT(registry.Text(), HasSubstr(item.text));
  }
}

TEST(MetricsTest, CallbacksAreReadAtEachScrape) {
  Registry registry;
  double value = 1;
  registry.AddCallback(Type::kCounter, "c_total", "C.", {"l"}, [&value](Samples* samples) {
    samples->Add({"a"}, value);
    samples->Add({"b\n"}, 2);
  });
  registry.AddCallback(Type::kGauge, "g", "G.", [&value] { return value; });
  EXPECT_THAT(registry.Text(), HasSubstr("c_total{l=\"a\"} 1\nc_total{l=\"b\\n\"} 2\n"));
  value = 5;
  EXPECT_THAT(registry.Text(), AllOf(HasSubstr("c_total{l=\"a\"} 5\n"), HasSubstr("\ng 5\n")));
}

TEST(MetricsTest, RoomIsMadeBeforeItIsNeeded) {
  Registry registry;
  const std::string wide(1000, 'w');
  registry.AddCallback(Type::kGauge, "g", "", {"l"}, [&wide](Samples* samples) {
    for (int i = 0; i < 3000; ++i) {
      samples->MakeRoom();
      EXPECT_GE(samples->room(), Samples::kRoom);
      samples->Add({wide}, i);
    }
  });
  std::string lines = "# HELP g \n# TYPE g gauge\n";
  for (int i = 0; i < 3000; ++i) lines += "g{l=\"" + wide + "\"} " + std::to_string(i) + "\n";
  EXPECT_EQ(registry.Text(), lines);
  EXPECT_EQ(registry.Text(), lines);
}

TEST(MetricsTest, WhatIsGoneIsNotReported) {
  Registry registry;
  auto& gauges = registry.AddGauge("g", "", {"pod"});
  gauges.With({"a"}).Set(1);
  gauges.With({"b"}).Set(1);
  gauges.Remove({"a"});
  EXPECT_EQ(registry.Text(), "# HELP g \n# TYPE g gauge\ng{pod=\"b\"} 1\n");
}

TEST(MetricsTest, ThreadsAddWhileOthersRead) {
  Registry registry;
  auto& counters = registry.AddCounter("c_total", "", {"n"});
  auto& histogram = registry.AddHistogram("h", "", LatencyBounds()).With({});
  std::vector<std::future<void>> threads;
  threads.reserve(4);
  for (int n = 0; n < 4; ++n) {
    threads.push_back(std::async(std::launch::async, [&, n] {
      for (int i = 0; i < 1000; ++i) {
        counters.With({std::to_string((n + i) % 3)}).Add();
        histogram.Observe(0.01 * i);
        if (i % 100 == 0) registry.Text();
      }
    }));
  }
  for (auto& thread : threads) thread.get();
  double total = 0;
  for (const char* label : {"0", "1", "2"}) total += counters.With({label}).value();
  EXPECT_EQ(total, 4000);
  EXPECT_THAT(registry.Text(), HasSubstr("h_count 4000\n"));
}

TEST(MetricsDeathTest, NamesThatAreNotAllowedAreBugs) {
  Registry registry;
  EXPECT_DEATH(registry.AddGauge("1g", ""), "");
  EXPECT_DEATH(registry.AddGauge("g-h", ""), "");
  EXPECT_DEATH(registry.AddGauge("g", "", {"le"}), "");
  EXPECT_DEATH(registry.AddGauge("g", "", {"a:b"}), "");
  registry.AddGauge("g", "", {"a"});
  EXPECT_DEATH(registry.AddCounter("g", ""), "");
}

}  // namespace
}  // namespace hami::metrics
