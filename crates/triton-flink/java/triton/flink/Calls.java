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
    /** Why the thread is gone although the function is open. */
    private volatile Throwable broken;

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
        Throwable error = broken;
        if (error != null) {
            opening.completeExceptionally(error);
        }
        opening.get();
    }

    /** Hands a row to Rust, which keeps the order in which this is called. */
    CompletableFuture<Collection<RowData>> predict(RowWriter row) {
        Call call = begin(rows);
        rows++;
        try {
            NativeLibrary.predict(function, call.number, row.buffer(), row.length());
        } catch (Throwable error) {
            pending.remove(call.number);
            call.completeExceptionally(error);
        }
        // Asked after the call was noted: either this sees it, or the thread does.
        Throwable error = broken;
        if (error != null) {
            pending.remove(call.number);
            call.completeExceptionally(error);
        }
        return call;
    }

    /** Gives up the calls in flight and closes the function. */
    void close() {
        try {
            NativeLibrary.close(function);
        } finally {
            join();
            failPending(new TritonException("the function was closed before the row was answered"));
            NativeLog.write();
        }
    }

    /** Waits for the thread, so that none of this class loader outlives the task. */
    private void join() {
        try {
            thread.join();
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
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
            // Nobody will complete the calls any more, those to come included.
            broken =
                    new TritonException(
                            "the thread that takes the answers has failed: " + error, error);
            failPending(broken);
        }
    }

    private byte[] next() {
        return NativeLibrary.nextEvents(function);
    }

    private void complete(RowReader reader) {
        long number = reader.readLong();
        boolean answered = reader.readByte() == 0;
        if (!answered) {
            TritonException error = new TritonException(reader.readText());
            Call call = pending.remove(number);
            if (call != null) {
                call.completeExceptionally(error);
            }
            return;
        }
        Collection<RowData> rows =
                number == OPENING ? Collections.emptyList() : Arrays.asList(readRows(reader));
        // Not before its answer was read: a call must not be forgotten where that fails.
        Call call = pending.remove(number);
        if (call != null) {
            call.complete(rows);
        }
    }

    private RowData[] readRows(RowReader reader) {
        RowData[] rows = new RowData[reader.readInt()];
        for (int index = 0; index < rows.length; index++) {
            rows[index] = reader.readRow(outputs);
        }
        return rows;
    }

    private void failPending(Throwable error) {
        // One by one: a call that is noted meanwhile must not be forgotten.
        for (Call call : pending.values()) {
            if (pending.remove(call.number, call)) {
                call.completeExceptionally(error);
            }
        }
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
