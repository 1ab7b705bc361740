package triton.flink;

import java.util.LinkedHashSet;
import java.util.Set;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.configuration.ConfigOptions;
import org.apache.flink.table.factories.ModelProviderFactory;
import org.apache.flink.table.ml.ModelProvider;

/** Makes the model provider that {@code 'provider' = 'triton'} names. */
public class TritonModelProviderFactory implements ModelProviderFactory {
    /** The option that other front ends do not have. Rust reads its value, too. */
    private static final ConfigOption<String> ROW_VALUES_REDACTED =
            ConfigOptions.key("row-values-redacted")
                    .stringType()
                    .defaultValue("false")
                    .withDescription(
                            "Leaves the values of a row out of the error that fails the job, for "
                                    + "values that others must not read.");

    @Override
    public ModelProvider createModelProvider(Context context) {
        // Options are checked when the function is made: if this method fails, Flink shows all of
        // them to the user, and among them such as nobody should see.
        return new TritonModelProvider(context.getConfiguration());
    }

    @Override
    public String factoryIdentifier() {
        return "triton";
    }

    @Override
    public Set<ConfigOption<?>> requiredOptions() {
        return TritonModelOptions.REQUIRED;
    }

    @Override
    public Set<ConfigOption<?>> optionalOptions() {
        Set<ConfigOption<?>> options = new LinkedHashSet<>(TritonModelOptions.OPTIONAL);
        options.add(ROW_VALUES_REDACTED);
        return options;
    }
}
