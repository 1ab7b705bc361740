package triton.flink;

import java.util.Collection;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.functions.FunctionContext;
import org.apache.flink.table.functions.PredictFunction;
import org.apache.flink.table.functions.SpecializedFunction;
import org.apache.flink.table.functions.UserDefinedFunction;

/** Asks the model for one row after the other, as {@code MAP['async', 'false']} wants it. */
public class TritonBlockingPredictFunction extends PredictFunction implements SpecializedFunction {
    private static final long serialVersionUID = 1L;

    private final RowFunction rows;

    TritonBlockingPredictFunction(RowFunction rows) {
        this.rows = rows;
    }

    @Override
    public UserDefinedFunction specialize(SpecializedContext context) {
        return new TritonBlockingPredictFunction(rows.specialize(context));
    }

    @Override
    public void open(FunctionContext context) throws Exception {
        rows.open(context);
    }

    /** Waits for the answers to a row; Flink interrupts it when the job is cancelled. */
    @Override
    public Collection<RowData> predict(RowData row) {
        Future<Collection<RowData>> answers = rows.predict(row);
        try {
            return answers.get();
        } catch (ExecutionException error) {
            throw asUnchecked(error.getCause());
        } catch (InterruptedException error) {
            answers.cancel(true);
            Thread.currentThread().interrupt();
            throw new TritonException("the job was cancelled before the row was answered");
        }
    }

    @Override
    public void close() {
        rows.close();
    }

    private static RuntimeException asUnchecked(Throwable error) {
        return error instanceof RuntimeException
                ? (RuntimeException) error
                : new TritonException(String.valueOf(error));
    }
}
