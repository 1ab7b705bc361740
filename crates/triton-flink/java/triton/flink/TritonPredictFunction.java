package triton.flink;

import java.util.Collection;
import java.util.concurrent.CompletableFuture;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.functions.AsyncPredictFunction;
import org.apache.flink.table.functions.FunctionContext;
import org.apache.flink.table.functions.SpecializedFunction;
import org.apache.flink.table.functions.UserDefinedFunction;

/** Asks the model for each row, with many rows in flight. */
public class TritonPredictFunction extends AsyncPredictFunction implements SpecializedFunction {
    private static final long serialVersionUID = 1L;

    private final RowFunction rows;

    TritonPredictFunction(RowFunction rows) {
        this.rows = rows;
    }

    @Override
    public UserDefinedFunction specialize(SpecializedContext context) {
        return new TritonPredictFunction(rows.specialize(context));
    }

    @Override
    public void open(FunctionContext context) throws Exception {
        rows.open(context);
    }

    @Override
    public CompletableFuture<Collection<RowData>> asyncPredict(RowData row) {
        return rows.predict(row);
    }

    @Override
    public void close() {
        rows.close();
    }
}
