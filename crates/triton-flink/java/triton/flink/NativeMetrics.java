package triton.flink;

import java.util.ArrayList;
import java.util.List;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.Gauge;
import org.apache.flink.metrics.Histogram;
import org.apache.flink.metrics.HistogramStatistics;
import org.apache.flink.metrics.MetricGroup;

/**
 * Registers the metrics that Rust counts; Flink reads them there whenever it reports.
 *
 * <p>What was counted stays so when the function is closed.
 */
final class NativeMetrics {
    private final List<NativeCount> counts = new ArrayList<>();

    NativeMetrics(MetricGroup operator, long function) {
        MetricGroup group = operator.addGroup("triton");
        RowReader shown = new RowReader(NativeLibrary.metrics());
        int count = shown.readInt();
        for (int index = 0; index < count; index++) {
            String name = shown.readText();
            byte kind = shown.readByte();
            NativeCount number = new NativeCount(function, index);
            if (kind == 1) {
                group.gauge(name, (Gauge<Double>) number::gauge);
                continue;
            }
            counts.add(number);
            if (kind == 0) {
                group.counter(name, new NativeCounter(number));
            } else {
                group.histogram(name, new NativeHistogram(number, function, index));
            }
        }
    }

    /** Reads everything once more, because the function is about to be closed. */
    void keep() {
        for (NativeCount count : counts) {
            count.get();
        }
    }

    /** A number in Rust, or the last one that was read when it is gone. */
    private static final class NativeCount {
        private final long function;
        private final int index;
        private long last;

        NativeCount(long function, int index) {
            this.function = function;
            this.index = index;
        }

        synchronized long get() {
            double value = NativeLibrary.metric(function, index);
            if (!Double.isNaN(value)) {
                last = (long) value;
            }
            return last;
        }

        double gauge() {
            double value = NativeLibrary.metric(function, index);
            return Double.isNaN(value) ? 0 : value;
        }
    }

    /** A counter that only Rust counts up. */
    private static final class NativeCounter implements Counter {
        private final NativeCount count;

        NativeCounter(NativeCount count) {
            this.count = count;
        }

        @Override
        public long getCount() {
            return count.get();
        }

        @Override
        public void inc() {}

        @Override
        public void inc(long count) {}

        @Override
        public void dec() {}

        @Override
        public void dec(long count) {}
    }

    /** A histogram that only Rust adds to. */
    private static final class NativeHistogram implements Histogram {
        private final NativeCount count;
        private final long function;
        private final int index;

        NativeHistogram(NativeCount count, long function, int index) {
            this.count = count;
            this.function = function;
            this.index = index;
        }

        @Override
        public void update(long value) {}

        @Override
        public long getCount() {
            return count.get();
        }

        @Override
        public HistogramStatistics getStatistics() {
            return new Statistics(NativeLibrary.latest(function, index));
        }
    }

    /** Statistics of values that are sorted. */
    private static final class Statistics extends HistogramStatistics {
        private final double[] sorted;

        Statistics(double[] sorted) {
            this.sorted = sorted;
        }

        @Override
        public double getQuantile(double quantile) {
            if (sorted.length == 0) {
                return 0;
            }
            return sorted[(int) Math.round(quantile * (sorted.length - 1))];
        }

        @Override
        public long[] getValues() {
            long[] values = new long[sorted.length];
            for (int index = 0; index < values.length; index++) {
                values[index] = Math.round(sorted[index]);
            }
            return values;
        }

        @Override
        public int size() {
            return sorted.length;
        }

        @Override
        public double getMean() {
            double sum = 0;
            for (double value : sorted) {
                sum += value;
            }
            return sorted.length == 0 ? 0 : sum / sorted.length;
        }

        @Override
        public double getStdDev() {
            double mean = getMean();
            double sum = 0;
            for (double value : sorted) {
                sum += (value - mean) * (value - mean);
            }
            return sorted.length < 2 ? 0 : Math.sqrt(sum / (sorted.length - 1));
        }

        @Override
        public long getMax() {
            return Math.round(getQuantile(1));
        }

        @Override
        public long getMin() {
            return Math.round(getQuantile(0));
        }
    }
}
