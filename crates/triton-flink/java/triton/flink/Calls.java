package triton.flink;

import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.types.logical.LogicalType;

/**
 * The calls of one open function, and the thread that takes their answers from Rust.
 *
 * <p>The thread is one of Java and a daemon. It waits in Rust, ends when the function is closed,
 * and also writes what Rust has for the log.
 */
final class Calls {
    /** The call that opens the function; every other is the number of a row. */
    private static final long OPENING = -1;

    private final long function;
    private final LogicalType[] outputs;
    private final Map<Long, Call> pending = new ConcurrentHashMap<>();
    private final Thread thread;
    private long rows;
    private volatile boolean closed;

    Calls(long function, LogicalType[] outputs, String task) {
        this.function = function;
        this.outputs = outputs;
        thread = new Thread(this::takeAnswers, "triton answers for " + task);
        thread.setDaemon(true);
        thread.start();
    }

    /** Opens the function; an interrupt gives it up. */
    void open() throws InterruptedException, ExecutionException {
        Call opening = begin(OPENING);
        NativeLibrary.open(function);
        opening.get();
    }

    /** Hands a row to Rust, which keeps the order in which this is called. */
    CompletableFuture<Collection<RowData>> predict(RowWriter row) {
        Call call = begin(rows);
        rows++;
        try {
            NativeLibrary.predict(function, call.number, row.buffer(), row.length());
        } catch (RuntimeException error) {
            pending.remove(call.number);
            call.completeExceptionally(error);
        }
        return call;
    }

    /** Gives up the calls in flight and closes the function. */
    void close() {
        closed = true;
        try {
            NativeLibrary.close(function);
            // So that no thread of this class loader outlives the task.
            thread.join();
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
        } finally {
            failPending(new TritonException("the function was closed before the row was answered"));
            NativeLog.write();
        }
    }

    private Call begin(long number) {
        Call call = new Call(number);
        pending.put(number, call);
        return call;
    }

    private void takeAnswers() {
        try {
            for (byte[] events = next(); events != null; events = next()) {
                NativeLog.write();
                RowReader reader = new RowReader(events);
                while (reader.hasMore()) {
                    complete(reader);
                }
            }
        } catch (Throwable error) {
            // Nobody would complete the calls any more.
            failPending(error);
        }
    }

    private byte[] next() {
        return NativeLibrary.nextEvents(function);
    }

    private void complete(RowReader reader) {
        long number = reader.readLong();
        boolean answered = reader.readByte() == 0;
        Call call = pending.remove(number);
        if (!answered) {
            TritonException error = new TritonException(reader.readText());
            if (call != null) {
                call.completeExceptionally(error);
            }
        } else if (number == OPENING) {
            call.complete(Collections.emptyList());
        } else {
            RowData[] rows = new RowData[reader.readInt()];
            for (int index = 0; index < rows.length; index++) {
                rows[index] = reader.readRow(outputs);
            }
            if (call != null) {
                call.complete(Arrays.asList(rows));
            }
        }
    }

    private void failPending(Throwable error) {
        for (Call call : pending.values()) {
            call.completeExceptionally(error);
        }
        pending.clear();
    }

    /** An answer to come; cancelling it cancels the request. */
    private final class Call extends CompletableFuture<Collection<RowData>> {
        private final long number;

        Call(long number) {
            this.number = number;
        }

        @Override
        public boolean cancel(boolean interrupt) {
            pending.remove(number);
            NativeLibrary.cancel(function, number);
            return super.cancel(interrupt);
        }
    }
}
