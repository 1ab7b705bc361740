package triton.flink;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.IntFunction;
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
    /** How often it is asked whether there are further replicas. */
    private static final long INTERVAL_NANOS = 1_000_000_000L;

    private final long function;
    private final MetricGroup group;
    private final List<NativeCount> counts = new ArrayList<>();
    private final Set<String> replicas = new HashSet<>();
    private long looked;

    NativeMetrics(MetricGroup operator, long function) {
        this.function = function;
        group = operator.addGroup("triton");
        register(group, NativeLibrary.metrics(), index -> new OfFunction(function, index));
        addReplicas();
    }

    /** Registers replicas that have come since the last time; most calls do nothing. */
    synchronized void lookForReplicas() {
        if (System.nanoTime() - looked >= INTERVAL_NANOS) {
            addReplicas();
        }
    }

    private synchronized void addReplicas() {
        looked = System.nanoTime();
        RowReader known = new RowReader(NativeLibrary.replicas(function));
        String model = known.hasMore() ? known.readText() : "";
        while (known.hasMore()) {
            String replica = known.readText();
            if (replicas.add(replica)) {
                byte[] of = model.getBytes(StandardCharsets.UTF_8);
                byte[] name = replica.getBytes(StandardCharsets.UTF_8);
                register(
                        group.addGroup("replica", replica),
                        NativeLibrary.replicaMetrics(),
                        index -> new OfReplica(of, name, index));
            }
        }
    }

    private void register(MetricGroup group, byte[] names, IntFunction<Source> sources) {
        RowReader shown = new RowReader(names);
        int count = shown.readInt();
        for (int index = 0; index < count; index++) {
            String name = shown.readText();
            byte kind = shown.readByte();
            Source source = sources.apply(index);
            NativeCount number = new NativeCount(source);
            if (kind == 1) {
                group.gauge(name, (Gauge<Double>) number::gauge);
                continue;
            }
            counts.add(number);
            if (kind == 0) {
                group.counter(name, new NativeCounter(number));
            } else {
                group.histogram(name, new NativeHistogram(number, source));
            }
        }
    }

    /** Reads everything once more, because the function is about to be closed. */
    synchronized void keep() {
        for (NativeCount count : counts) {
            count.get();
        }
    }

    /** Where a metric is in Rust. */
    private interface Source {
        /** Not a number when it is gone. */
        double value();

        /** The latest values of a histogram. */
        double[] latest();
    }

    private static final class OfFunction implements Source {
        private final long function;
        private final int index;

        OfFunction(long function, int index) {
            this.function = function;
            this.index = index;
        }

        @Override
        public double value() {
            return NativeLibrary.metric(function, index);
        }

        @Override
        public double[] latest() {
            return NativeLibrary.latest(function, index);
        }
    }

    private static final class OfReplica implements Source {
        private final byte[] model;
        private final byte[] replica;
        private final int index;

        OfReplica(byte[] model, byte[] replica, int index) {
            this.model = model;
            this.replica = replica;
            this.index = index;
        }

        @Override
        public double value() {
            return NativeLibrary.replicaMetric(model, replica, index);
        }

        @Override
        public double[] latest() {
            return NativeLibrary.replicaLatest(model, replica, index);
        }
    }

    /** A number in Rust, or the last one that was read when it is gone. */
    private static final class NativeCount {
        private final Source source;
        private long last;

        NativeCount(Source source) {
            this.source = source;
        }

        synchronized long get() {
            double value = source.value();
            if (!Double.isNaN(value)) {
                last = (long) value;
            }
            return last;
        }

        double gauge() {
            double value = source.value();
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
        private final Source source;

        NativeHistogram(NativeCount count, Source source) {
            this.count = count;
            this.source = source;
        }

        @Override
        public void update(long value) {}

        @Override
        public long getCount() {
            return count.get();
        }

        @Override
        public HistogramStatistics getStatistics() {
            return new Statistics(source.latest());
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
