
using namespace System.Management.Automation
using namespace System.Management.Automation.Language

Register-ArgumentCompleter -Native -CommandName 'speculators' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    $commandElements = $commandAst.CommandElements
    $command = @(
        'speculators'
        for ($i = 1; $i -lt $commandElements.Count; $i++) {
            $element = $commandElements[$i]
            if ($element -isnot [StringConstantExpressionAst] -or
                $element.StringConstantType -ne [StringConstantType]::BareWord -or
                $element.Value.StartsWith('-') -or
                $element.Value -eq $wordToComplete) {
                break
        }
        $element.Value
    }) -join ';'

    $completions = @(switch ($command) {
        'speculators' {
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colors')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Take options from a file: a YAML mapping of long names to values; what is typed wins over it')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--no-progress', '--no-progress', [CompletionResultType]::ParameterName, 'Draw no progress bars')
            [CompletionResult]::new('--offline', '--offline', [CompletionResultType]::ParameterName, 'Do not ask the Hub; use what its cache holds')
            [CompletionResult]::new('--show-config', '--show-config', [CompletionResultType]::ParameterName, 'Print every option''s value and where it comes from, and run nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('pull', 'pull', [CompletionResultType]::ParameterValue, 'Fetch a verifier or a head from the Hub')
            [CompletionResult]::new('vocab', 'vocab', [CompletionResultType]::ParameterValue, 'Count tokens, and choose the draft vocabulary of a head by them')
            [CompletionResult]::new('init', 'init', [CompletionResultType]::ParameterValue, 'Start a new head for a verifier')
            [CompletionResult]::new('convert', 'convert', [CompletionResultType]::ParameterValue, 'Rewrite a head in the layout that vLLM serves, or in another')
            [CompletionResult]::new('stitch-mtp', 'stitch-mtp', [CompletionResultType]::ParameterValue, 'Put a finetuned MTP head back into its verifier')
            [CompletionResult]::new('validate', 'validate', [CompletionResultType]::ParameterValue, 'Check that a head will load and can accept tokens')
            [CompletionResult]::new('inspect', 'inspect', [CompletionResultType]::ParameterValue, 'Show what is in a checkpoint')
            [CompletionResult]::new('diff', 'diff', [CompletionResultType]::ParameterValue, 'Show what differs between two checkpoints')
            [CompletionResult]::new('eval', 'eval', [CompletionResultType]::ParameterValue, 'Measure acceptance and latency of a head, offline')
            [CompletionResult]::new('probe', 'probe', [CompletionResultType]::ParameterValue, 'Find out by measurement how a head is meant to be read')
            [CompletionResult]::new('generate', 'generate', [CompletionResultType]::ParameterValue, 'Generate text with speculation, as it comes')
            [CompletionResult]::new('push', 'push', [CompletionResultType]::ParameterValue, 'Put a checkpoint on the Hub, with a model card')
            [CompletionResult]::new('doctor', 'doctor', [CompletionResultType]::ParameterValue, 'Show what this machine offers')
            [CompletionResult]::new('explain', 'explain', [CompletionResultType]::ParameterValue, 'Explain a diagnostic code')
            [CompletionResult]::new('schema', 'schema', [CompletionResultType]::ParameterValue, 'Print the JSON schema of a report')
            [CompletionResult]::new('completions', 'completions', [CompletionResultType]::ParameterValue, 'Print shell completions, or write them and the man pages')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'speculators;pull' {
            [CompletionResult]::new('--revision', '--revision', [CompletionResultType]::ParameterName, 'Branch, tag or commit')
            [CompletionResult]::new('--include', '--include', [CompletionResultType]::ParameterName, 'Fetch only files that match this pattern; may be given again')
            [CompletionResult]::new('--exclude', '--exclude', [CompletionResultType]::ParameterName, 'Leave out files that match this pattern; may be given again')
            [CompletionResult]::new('--only', '--only', [CompletionResultType]::ParameterName, 'Fetch only these tensors, and what else makes a small verifier of them: `embed_tokens`, `lm_head` and `norm` by their role, others by name or pattern')
            [CompletionResult]::new('--local-dir', '--local-dir', [CompletionResultType]::ParameterName, 'Put the files here instead of into the cache; with `--only`, `./NAME-partial` is the default')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Form of the report')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colors')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Take options from a file: a YAML mapping of long names to values; what is typed wins over it')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Replace what is in the way: files in `--local-dir`, or the directory of `--only`')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Show what would be fetched, and fetch nothing')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--no-progress', '--no-progress', [CompletionResultType]::ParameterName, 'Draw no progress bars')
            [CompletionResult]::new('--offline', '--offline', [CompletionResultType]::ParameterName, 'Do not ask the Hub; use what its cache holds')
            [CompletionResult]::new('--show-config', '--show-config', [CompletionResultType]::ParameterName, 'Print every option''s value and where it comes from, and run nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'speculators;vocab' {
            [CompletionResult]::new('--verifier', '--verifier', [CompletionResultType]::ParameterName, 'Directory of the verifier: config, tokenizer, chat template; its weights are not read')
            [CompletionResult]::new('--token-freq', '--token-freq', [CompletionResultType]::ParameterName, 'Counts that are there already, instead of data: `.npy`, `.safetensors`, `.json`, or `token_freq.pt` of the Python package')
            [CompletionResult]::new('--merge', '--merge', [CompletionResultType]::ParameterName, 'Counts to be added, in any of the forms of `--token-freq`')
            [CompletionResult]::new('--vocab-size', '--vocab-size', [CompletionResultType]::ParameterName, 'Tokens of the verifier, where neither it nor the counts say')
            [CompletionResult]::new('--draft-vocab-size', '--draft-vocab-size', [CompletionResultType]::ParameterName, 'Tokens of the draft vocabulary')
            [CompletionResult]::new('--force-include', '--force-include', [CompletionResultType]::ParameterName, 'Tokens to be in the map whatever their count: ids, `eos` for those that end a text, `chat` for those of the chat template, `none` [default: eos,chat]')
            [CompletionResult]::new('--count', '--count', [CompletionResultType]::ParameterName, 'Which tokens of conversations, and of ids with a loss mask, are counted')
            [CompletionResult]::new('--seq-length', '--seq-length', [CompletionResultType]::ParameterName, 'Look only at the first tokens of each sequence, as training does')
            [CompletionResult]::new('--threads', '--threads', [CompletionResultType]::ParameterName, 'Worker threads [default: one per core]')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'Where to write counts and map; the directory may hold other files [default: nothing is written]')
            [CompletionResult]::new('--output-path', '--output-path', [CompletionResultType]::ParameterName, 'Where to write counts and map; the directory may hold other files [default: nothing is written]')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Form of the report')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colors')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Take options from a file: a YAML mapping of long names to values; what is typed wins over it')
            [CompletionResult]::new('--no-force-include', '--no-force-include', [CompletionResultType]::ParameterName, 'Include no token but for its count, as the Python package does')
            [CompletionResult]::new('--skip-invalid', '--skip-invalid', [CompletionResultType]::ParameterName, 'Leave out lines that cannot be used, and say how many there were')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Replace files of the output that exist')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--no-progress', '--no-progress', [CompletionResultType]::ParameterName, 'Draw no progress bars')
            [CompletionResult]::new('--offline', '--offline', [CompletionResultType]::ParameterName, 'Do not ask the Hub; use what its cache holds')
            [CompletionResult]::new('--show-config', '--show-config', [CompletionResultType]::ParameterName, 'Print every option''s value and where it comes from, and run nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'speculators;init' {
            [CompletionResult]::new('--verifier', '--verifier', [CompletionResultType]::ParameterName, 'Directory of the verifier, or its name on the Hub; its config, embedding and output matrix are enough')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'Where to write the head')
            [CompletionResult]::new('--output-path', '--output-path', [CompletionResultType]::ParameterName, 'Where to write the head')
            [CompletionResult]::new('--algorithm', '--algorithm', [CompletionResultType]::ParameterName, 'Kind of head: `eagle3`, `peagle`, `dflash` or `dspark`')
            [CompletionResult]::new('--verifier-name', '--verifier-name', [CompletionResultType]::ParameterName, 'What the output calls its verifier [default: the path given]')
            [CompletionResult]::new('--draft-vocab-size', '--draft-vocab-size', [CompletionResultType]::ParameterName, 'Tokens the head can propose [default: all of the verifier''s]')
            [CompletionResult]::new('--token-freq', '--token-freq', [CompletionResultType]::ParameterName, 'Counts of tokens, of which the most frequent are taken: `token_freq` of `speculators vocab` or of the Python package')
            [CompletionResult]::new('--vocab', '--vocab', [CompletionResultType]::ParameterName, 'Directory with a finished map: `d2t` and `t2d`')
            [CompletionResult]::new('--num-layers', '--num-layers', [CompletionResultType]::ParameterName, 'Draft layers [default: 5 for `dflash` and `dspark`, else 1]')
            [CompletionResult]::new('--draft-arch', '--draft-arch', [CompletionResultType]::ParameterName, 'Kind of the draft layers [default: llama for `eagle3`, else qwen3]')
            [CompletionResult]::new('--hidden-act', '--hidden-act', [CompletionResultType]::ParameterName, 'Activation in the draft layers [default: silu]')
            [CompletionResult]::new('--sliding-window', '--sliding-window', [CompletionResultType]::ParameterName, 'Width of the attention window of the draft layers [default: 2048]')
            [CompletionResult]::new('--full-attention-layers', '--full-attention-layers', [CompletionResultType]::ParameterName, 'Draft layers, counted from 0, that see everything instead of a window')
            [CompletionResult]::new('--aux-layers', '--aux-layers', [CompletionResultType]::ParameterName, 'Verifier layers the head reads, each counted as "after this many layers have run" [default: 2, n/2, n-3]')
            [CompletionResult]::new('--norm-before-residual', '--norm-before-residual', [CompletionResultType]::ParameterName, 'The first layer''s residual is the normalized `fc` output; eagle3, peagle [default: true]')
            [CompletionResult]::new('--norm-before-fc', '--norm-before-fc', [CompletionResultType]::ParameterName, 'One norm over the concatenated layers before `fc`; eagle3, peagle [default: true for eagle3]')
            [CompletionResult]::new('--fc-norm', '--fc-norm', [CompletionResultType]::ParameterName, 'One norm per layer before `fc`; eagle3, peagle [default: false]')
            [CompletionResult]::new('--norm-output', '--norm-output', [CompletionResultType]::ParameterName, 'The normalized output is fed to the next draft step; eagle3, peagle [default: true for eagle3]')
            [CompletionResult]::new('--mask-token-id', '--mask-token-id', [CompletionResultType]::ParameterName, 'Token that stands for one not drafted yet; all but eagle3 [default: the tokenizer''s, or the first unused row]')
            [CompletionResult]::new('--num-speculative-tokens', '--num-speculative-tokens', [CompletionResultType]::ParameterName, 'Draft tokens per step the head asks for [default: 3, peagle 8, else what a block holds]')
            [CompletionResult]::new('--block-size', '--block-size', [CompletionResultType]::ParameterName, 'Positions of a block; dflash, dspark [default: 16, dspark 8]')
            [CompletionResult]::new('--sample-from-anchor', '--sample-from-anchor', [CompletionResultType]::ParameterName, 'The first position of a block predicts a token, too; dflash, dspark [default: true for dspark]')
            [CompletionResult]::new('--sliding-window-non-causal', '--sliding-window-non-causal', [CompletionResultType]::ParameterName, 'Layers with a window see all of the block; dflash, dspark [default: false]')
            [CompletionResult]::new('--markov-rank', '--markov-rank', [CompletionResultType]::ParameterName, 'Rank of the bias from the previous token, 0 for none; dspark [default: 256]')
            [CompletionResult]::new('--markov-head-type', '--markov-head-type', [CompletionResultType]::ParameterName, 'How that bias depends on the state; dspark [default: vanilla]')
            [CompletionResult]::new('--enable-confidence-head', '--enable-confidence-head', [CompletionResultType]::ParameterName, 'A head that foretells acceptance; dspark [default: true]')
            [CompletionResult]::new('--confidence-head-with-markov', '--confidence-head-with-markov', [CompletionResultType]::ParameterName, 'It reads the embedding of the previous token, too; dspark [default: true]')
            [CompletionResult]::new('--dtype', '--dtype', [CompletionResultType]::ParameterName, 'Dtype of the weights [default: bfloat16]')
            [CompletionResult]::new('--seed', '--seed', [CompletionResultType]::ParameterName, 'Seed of everything random')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Form of the report')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colors')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Take options from a file: a YAML mapping of long names to values; what is typed wins over it')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Show the config and the tensors and write nothing')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Replace the output if it exists')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--no-progress', '--no-progress', [CompletionResultType]::ParameterName, 'Draw no progress bars')
            [CompletionResult]::new('--offline', '--offline', [CompletionResultType]::ParameterName, 'Do not ask the Hub; use what its cache holds')
            [CompletionResult]::new('--show-config', '--show-config', [CompletionResultType]::ParameterName, 'Print every option''s value and where it comes from, and run nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'speculators;convert' {
            [CompletionResult]::new('--verifier', '--verifier', [CompletionResultType]::ParameterName, 'Directory of the verifier; its config is read, for `--embed verifier` its weights and for `--to gguf` its tokenizer')
            [CompletionResult]::new('--to', '--to', [CompletionResultType]::ParameterName, 'Layout to write')
            [CompletionResult]::new('--algorithm', '--algorithm', [CompletionResultType]::ParameterName, 'Kind of head; recognized from the tensors where it is left out')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'Where to write the converted checkpoint')
            [CompletionResult]::new('--output-path', '--output-path', [CompletionResultType]::ParameterName, 'Where to write the converted checkpoint')
            [CompletionResult]::new('--algorithm-kwargs', '--algorithm-kwargs', [CompletionResultType]::ParameterName, 'Options as a JSON object, in the spelling of the Python package')
            [CompletionResult]::new('--validate-device', '--validate-device', [CompletionResultType]::ParameterName, 'Accepted for scripts that pass it; the output is always validated, on the CPU')
            [CompletionResult]::new('--verifier-name', '--verifier-name', [CompletionResultType]::ParameterName, 'What the output calls its verifier [default: the path given]')
            [CompletionResult]::new('--num-speculative-tokens', '--num-speculative-tokens', [CompletionResultType]::ParameterName, 'Draft tokens per step that the output asks for [default: as in the source, else 3 or a whole block]')
            [CompletionResult]::new('--dtype', '--dtype', [CompletionResultType]::ParameterName, 'Dtype of the weights in the output [default: as in the source]')
            [CompletionResult]::new('--embed', '--embed', [CompletionResultType]::ParameterName, 'The embedding: the head''s own if it has one, the verifier''s, or none')
            [CompletionResult]::new('--lm-head', '--lm-head', [CompletionResultType]::ParameterName, 'An output matrix with a row for each verifier token: kept, or cut to the draft''s tokens')
            [CompletionResult]::new('--fc-bias', '--fc-bias', [CompletionResultType]::ParameterName, 'A bias after `fc` that the target has no place for: may go if it is zero, or is an error')
            [CompletionResult]::new('--aux-layers', '--aux-layers', [CompletionResultType]::ParameterName, 'Verifier layers the head reads, each counted as "after this many layers have run" unless `--aux-convention` says otherwise')
            [CompletionResult]::new('--aux-convention', '--aux-convention', [CompletionResultType]::ParameterName, 'What layer ids count: those of `--aux-layers` where it is given, else the source''s own')
            [CompletionResult]::new('--norm-before-residual', '--norm-before-residual', [CompletionResultType]::ParameterName, 'The first layer''s residual is the normalized `fc` output')
            [CompletionResult]::new('--norm-before-fc', '--norm-before-fc', [CompletionResultType]::ParameterName, 'One norm over the concatenated layers before `fc`')
            [CompletionResult]::new('--fc-norm', '--fc-norm', [CompletionResultType]::ParameterName, 'One norm per layer before `fc`')
            [CompletionResult]::new('--norm-output', '--norm-output', [CompletionResultType]::ParameterName, 'What the final norm is for: `feedback` (or true) if its output is fed to the next draft step, `head` (or false) if it only comes before `lm_head`')
            [CompletionResult]::new('--rope', '--rope', [CompletionResultType]::ParameterName, 'Rotary embedding: `config` as stated, `verifier` as the verifier''s, `plain` for theta 10000 without scaling, or `theta=X`')
            [CompletionResult]::new('--rope-theta', '--rope-theta', [CompletionResultType]::ParameterName, 'Base of the rotary frequencies; short for `--rope theta=X`')
            [CompletionResult]::new('--mask-token-id', '--mask-token-id', [CompletionResultType]::ParameterName, 'Token that stands for one not drafted yet, in parallel and block drafters')
            [CompletionResult]::new('--head-dim', '--head-dim', [CompletionResultType]::ParameterName, 'Channels per attention head')
            [CompletionResult]::new('--dflash-anchor', '--dflash-anchor', [CompletionResultType]::ParameterName, 'What the first position of a block holds: a token that is known, or the first that is predicted')
            [CompletionResult]::new('--d2t', '--d2t', [CompletionResultType]::ParameterName, 'What the entries of `d2t` are, where its numbers are not to decide it')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Form of the report')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colors')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Take options from a file: a YAML mapping of long names to values; what is typed wins over it')
            [CompletionResult]::new('--strict', '--strict', [CompletionResultType]::ParameterName, 'Refuse wherever something would have to be guessed')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Show the plan and write nothing')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Replace the output if it exists')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--no-progress', '--no-progress', [CompletionResultType]::ParameterName, 'Draw no progress bars')
            [CompletionResult]::new('--offline', '--offline', [CompletionResultType]::ParameterName, 'Do not ask the Hub; use what its cache holds')
            [CompletionResult]::new('--show-config', '--show-config', [CompletionResultType]::ParameterName, 'Print every option''s value and where it comes from, and run nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'speculators;stitch-mtp' {
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'Where to write the verifier [default: its name and `-stitched`, here]')
            [CompletionResult]::new('--output-path', '--output-path', [CompletionResultType]::ParameterName, 'Where to write the verifier [default: its name and `-stitched`, here]')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Form of the report')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colors')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Take options from a file: a YAML mapping of long names to values; what is typed wins over it')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Show the plan and write nothing')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Replace the output if it exists')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--no-progress', '--no-progress', [CompletionResultType]::ParameterName, 'Draw no progress bars')
            [CompletionResult]::new('--offline', '--offline', [CompletionResultType]::ParameterName, 'Do not ask the Hub; use what its cache holds')
            [CompletionResult]::new('--show-config', '--show-config', [CompletionResultType]::ParameterName, 'Print every option''s value and where it comes from, and run nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'speculators;validate' {
            [CompletionResult]::new('--verifier', '--verifier', [CompletionResultType]::ParameterName, 'Directory of the verifier it is to run with')
            [CompletionResult]::new('--for', '--for', [CompletionResultType]::ParameterName, 'Say whether this runtime will load it, what it assumes, and how to serve it')
            [CompletionResult]::new('--deny', '--deny', [CompletionResultType]::ParameterName, 'Findings that make the checkpoint not valid, besides errors: `warnings`, or codes')
            [CompletionResult]::new('--allow', '--allow', [CompletionResultType]::ParameterName, 'Findings to leave out, by code; they are counted')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Form of the report')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'Write the report to a file, and one line per checkpoint to stderr')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colors')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Take options from a file: a YAML mapping of long names to values; what is typed wins over it')
            [CompletionResult]::new('--no-scan', '--no-scan', [CompletionResultType]::ParameterName, 'Do not look at the values of the weights')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Replace the file if it exists')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--no-progress', '--no-progress', [CompletionResultType]::ParameterName, 'Draw no progress bars')
            [CompletionResult]::new('--offline', '--offline', [CompletionResultType]::ParameterName, 'Do not ask the Hub; use what its cache holds')
            [CompletionResult]::new('--show-config', '--show-config', [CompletionResultType]::ParameterName, 'Print every option''s value and where it comes from, and run nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'speculators;inspect' {
            [CompletionResult]::new('--verifier', '--verifier', [CompletionResultType]::ParameterName, 'Directory of the verifier of a head; settles what the head leaves to it')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Form of the report')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colors')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Take options from a file: a YAML mapping of long names to values; what is typed wins over it')
            [CompletionResult]::new('--tensors', '--tensors', [CompletionResultType]::ParameterName, 'List the tensors')
            [CompletionResult]::new('--sha256', '--sha256', [CompletionResultType]::ParameterName, 'Sum up the weight files, as the Hub does')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--no-progress', '--no-progress', [CompletionResultType]::ParameterName, 'Draw no progress bars')
            [CompletionResult]::new('--offline', '--offline', [CompletionResultType]::ParameterName, 'Do not ask the Hub; use what its cache holds')
            [CompletionResult]::new('--show-config', '--show-config', [CompletionResultType]::ParameterName, 'Print every option''s value and where it comes from, and run nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'speculators;diff' {
            [CompletionResult]::new('--verifier', '--verifier', [CompletionResultType]::ParameterName, 'Directory of the verifier of both; settles what a head leaves to it, and knows its own tensors in a head')
            [CompletionResult]::new('--tolerance', '--tolerance', [CompletionResultType]::ParameterName, 'Take tensors for equal whose difference has at most this share of their norm, in whatever dtype [default: only equal bytes]')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Form of the report')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colors')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Take options from a file: a YAML mapping of long names to values; what is typed wins over it')
            [CompletionResult]::new('--config-only', '--config-only', [CompletionResultType]::ParameterName, 'Compare descriptions and configs, not the weights')
            [CompletionResult]::new('--weights-only', '--weights-only', [CompletionResultType]::ParameterName, 'Compare the weights, not the configs')
            [CompletionResult]::new('--tensors', '--tensors', [CompletionResultType]::ParameterName, 'List all tensors and all config keys, also those that are equal')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--no-progress', '--no-progress', [CompletionResultType]::ParameterName, 'Draw no progress bars')
            [CompletionResult]::new('--offline', '--offline', [CompletionResultType]::ParameterName, 'Do not ask the Hub; use what its cache holds')
            [CompletionResult]::new('--show-config', '--show-config', [CompletionResultType]::ParameterName, 'Print every option''s value and where it comes from, and run nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'speculators;eval' {
            [CompletionResult]::new('--verifier', '--verifier', [CompletionResultType]::ParameterName, 'Directory of the verifier: config, safetensors, tokenizer')
            [CompletionResult]::new('--speculator', '--speculator', [CompletionResultType]::ParameterName, 'Directory of the head, in any layout that `inspect` recognizes')
            [CompletionResult]::new('--prompts', '--prompts', [CompletionResultType]::ParameterName, 'Prompts, in any form that docs/prompts.md lists; may be given several times; `builtin` is a set of 80 in eight categories')
            [CompletionResult]::new('--chat-template-kwargs', '--chat-template-kwargs', [CompletionResultType]::ParameterName, 'Variables for the chat template, such as ''{"enable_thinking": false}''; those of a prompt win')
            [CompletionResult]::new('--thinking', '--thinking', [CompletionResultType]::ParameterName, 'Switch thinking, by whichever name the chat template has for it')
            [CompletionResult]::new('--num-speculative-tokens', '--num-speculative-tokens', [CompletionResultType]::ParameterName, 'Draft tokens per step, in a chain [default: what the checkpoint asks for]')
            [CompletionResult]::new('--tree', '--tree', [CompletionResultType]::ParameterName, 'Draft a tree instead of a chain: `dynamic` (EAGLE-2), `calibrated`, or a file with a list of paths of child ranks')
            [CompletionResult]::new('--tree-top-k', '--tree-top-k', [CompletionResultType]::ParameterName, 'Nodes expanded per level of a dynamic tree, and children of each [default: 10, as EAGLE-3 was published]')
            [CompletionResult]::new('--tree-depth', '--tree-depth', [CompletionResultType]::ParameterName, 'Levels of a dynamic tree [default: 8]')
            [CompletionResult]::new('--tree-budget', '--tree-budget', [CompletionResultType]::ParameterName, 'Draft tokens of a dynamic tree that are verified, its root not counted [default: 59]')
            [CompletionResult]::new('--calibration', '--calibration', [CompletionResultType]::ParameterName, 'Rank the nodes of a dynamic tree by how often tokens like them are right, as `--write-calibration` wrote it')
            [CompletionResult]::new('--temperature', '--temperature', [CompletionResultType]::ParameterName, 'Sample at this temperature; 0 takes the most likely token')
            [CompletionResult]::new('--top-k', '--top-k', [CompletionResultType]::ParameterName, 'Sample among the most likely tokens only; 0 is all')
            [CompletionResult]::new('--top-p', '--top-p', [CompletionResultType]::ParameterName, 'Sample among the most likely tokens whose probabilities add up to this')
            [CompletionResult]::new('--min-p', '--min-p', [CompletionResultType]::ParameterName, 'Sample among tokens at least this probable relative to the most likely one')
            [CompletionResult]::new('--repetition-penalty', '--repetition-penalty', [CompletionResultType]::ParameterName, 'Divide the logits of tokens in prompt or output by this where they are positive, and multiply the others')
            [CompletionResult]::new('--frequency-penalty', '--frequency-penalty', [CompletionResultType]::ParameterName, 'Take this off the logit of a token for each time it is in the output')
            [CompletionResult]::new('--presence-penalty', '--presence-penalty', [CompletionResultType]::ParameterName, 'Take this off the logit of a token that is in the output')
            [CompletionResult]::new('--stop', '--stop', [CompletionResultType]::ParameterName, 'End an output at this text; may be given several times')
            [CompletionResult]::new('--verification', '--verification', [CompletionResultType]::ParameterName, 'Which draft tokens are kept, where tokens are sampled [default: match]')
            [CompletionResult]::new('--lossy', '--lossy', [CompletionResultType]::ParameterName, 'Keep more draft tokens than the verifier''s distribution allows: the output is no longer the verifier''s')
            [CompletionResult]::new('--seed', '--seed', [CompletionResultType]::ParameterName, 'Choose the noise of sampling, and the order of `--shuffle` [default: 0]')
            [CompletionResult]::new('--max-new-tokens', '--max-new-tokens', [CompletionResultType]::ParameterName, 'Output limit per request, in tokens [default: 256; 64 in the demonstration]')
            [CompletionResult]::new('--limit', '--limit', [CompletionResultType]::ParameterName, 'Take only the first prompts; with `--shuffle`, so many at random')
            [CompletionResult]::new('--threads', '--threads', [CompletionResultType]::ParameterName, 'Worker threads [default: one per core]')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Form of the report')
            [CompletionResult]::new('--outputs', '--outputs', [CompletionResultType]::ParameterName, 'Write ids, text and accepted tokens per step of each request')
            [CompletionResult]::new('--compare', '--compare', [CompletionResultType]::ParameterName, 'Compare with another engine''s outputs; or, with two files, compare two finished runs and run nothing')
            [CompletionResult]::new('--concurrency', '--concurrency', [CompletionResultType]::ParameterName, 'Decode this many prompts at the same time')
            [CompletionResult]::new('--records', '--records', [CompletionResultType]::ParameterName, 'Write one line per verification step while it runs; a crash loses no more than the line being written')
            [CompletionResult]::new('--from-records', '--from-records', [CompletionResultType]::ParameterName, 'Run nothing: report on what `--records` wrote; with `--records` as well, write it in the other form')
            [CompletionResult]::new('--metrics', '--metrics', [CompletionResultType]::ParameterName, 'Which metrics the text report lists; the JSON report has all')
            [CompletionResult]::new('--fail-under', '--fail-under', [CompletionResultType]::ParameterName, 'End with 1 if a metric is less than this; may be given several times')
            [CompletionResult]::new('--against', '--against', [CompletionResultType]::ParameterName, 'Show differences from an earlier run''s records, paired by request, with intervals')
            [CompletionResult]::new('--survey-every', '--survey-every', [CompletionResultType]::ParameterName, 'Look at every N-th position only: faster, but then mean lengths are estimates')
            [CompletionResult]::new('--cost-ratio', '--cost-ratio', [CompletionResultType]::ParameterName, 'Also say what would be best where a pass of the head takes this part of the verifier''s, at any width')
            [CompletionResult]::new('--write-tree', '--write-tree', [CompletionResultType]::ParameterName, 'Write the best static tree, for `--tree`')
            [CompletionResult]::new('--write-calibration', '--write-calibration', [CompletionResultType]::ParameterName, 'Write how often the head is right, for `--calibration`')
            [CompletionResult]::new('--report', '--report', [CompletionResultType]::ParameterName, 'Write the report as a page: `.html` with charts, or `.md` for a model card; may be given several times')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colors')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Take options from a file: a YAML mapping of long names to values; what is typed wins over it')
            [CompletionResult]::new('--demo', '--demo', [CompletionResultType]::ParameterName, 'Evaluate the head that comes with this program; nothing else is needed')
            [CompletionResult]::new('--as-chat', '--as-chat', [CompletionResultType]::ParameterName, 'Put plain text through the chat template, as the question of a user, instead of continuing it as it stands')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Replace files that are to be written if they exist')
            [CompletionResult]::new('--resume', '--resume', [CompletionResultType]::ParameterName, 'Go on with the run whose records `--records` names: keep what is complete there and run the rest')
            [CompletionResult]::new('--shuffle', '--shuffle', [CompletionResultType]::ParameterName, 'Take prompts in an order drawn by `--seed`; with `--limit`, a random choice of them')
            [CompletionResult]::new('--best', '--best', [CompletionResultType]::ParameterName, 'Find the setting that would be fastest: chains, static, dynamic and calibrated trees of every size')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--no-progress', '--no-progress', [CompletionResultType]::ParameterName, 'Draw no progress bars')
            [CompletionResult]::new('--offline', '--offline', [CompletionResultType]::ParameterName, 'Do not ask the Hub; use what its cache holds')
            [CompletionResult]::new('--show-config', '--show-config', [CompletionResultType]::ParameterName, 'Print every option''s value and where it comes from, and run nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'speculators;probe' {
            [CompletionResult]::new('--verifier', '--verifier', [CompletionResultType]::ParameterName, 'Directory of the verifier: config, safetensors, tokenizer')
            [CompletionResult]::new('--speculator', '--speculator', [CompletionResultType]::ParameterName, 'Directory of the head, in any layout that `inspect` recognizes')
            [CompletionResult]::new('--prompts', '--prompts', [CompletionResultType]::ParameterName, 'What the verifier is to answer, in any form that `eval` reads [default: the built-in set]')
            [CompletionResult]::new('--tokens', '--tokens', [CompletionResultType]::ParameterName, 'Tokens that the verifier writes and the head is measured on')
            [CompletionResult]::new('--threads', '--threads', [CompletionResultType]::ParameterName, 'Worker threads [default: one per core]')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Form of the report')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colors')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Take options from a file: a YAML mapping of long names to values; what is typed wins over it')
            [CompletionResult]::new('--write', '--write', [CompletionResultType]::ParameterName, 'Write what was picked into the head''s config, with a record of the measurement')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--no-progress', '--no-progress', [CompletionResultType]::ParameterName, 'Draw no progress bars')
            [CompletionResult]::new('--offline', '--offline', [CompletionResultType]::ParameterName, 'Do not ask the Hub; use what its cache holds')
            [CompletionResult]::new('--show-config', '--show-config', [CompletionResultType]::ParameterName, 'Print every option''s value and where it comes from, and run nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'speculators;generate' {
            [CompletionResult]::new('--verifier', '--verifier', [CompletionResultType]::ParameterName, 'Directory of the verifier: config, safetensors, tokenizer')
            [CompletionResult]::new('--speculator', '--speculator', [CompletionResultType]::ParameterName, 'Directory of the head, in any layout that `inspect` recognizes')
            [CompletionResult]::new('--prompt', '--prompt', [CompletionResultType]::ParameterName, 'The prompt; `-` reads it from stdin')
            [CompletionResult]::new('--system', '--system', [CompletionResultType]::ParameterName, 'What the conversation begins with, in the system''s name')
            [CompletionResult]::new('--show-accepted', '--show-accepted', [CompletionResultType]::ParameterName, 'Tell accepted draft tokens from the verifier''s own')
            [CompletionResult]::new('--num-speculative-tokens', '--num-speculative-tokens', [CompletionResultType]::ParameterName, 'Draft tokens per step, in a chain [default: what the checkpoint asks for]')
            [CompletionResult]::new('--tree', '--tree', [CompletionResultType]::ParameterName, 'Draft a tree instead of a chain: `dynamic` (EAGLE-2), `calibrated`, or a file with a list of paths of child ranks')
            [CompletionResult]::new('--tree-top-k', '--tree-top-k', [CompletionResultType]::ParameterName, 'Nodes expanded per level of a dynamic tree, and children of each [default: 10, as EAGLE-3 was published]')
            [CompletionResult]::new('--tree-depth', '--tree-depth', [CompletionResultType]::ParameterName, 'Levels of a dynamic tree [default: 8]')
            [CompletionResult]::new('--tree-budget', '--tree-budget', [CompletionResultType]::ParameterName, 'Draft tokens of a dynamic tree that are verified, its root not counted [default: 59]')
            [CompletionResult]::new('--calibration', '--calibration', [CompletionResultType]::ParameterName, 'Rank the nodes of a dynamic tree by how often tokens like them are right, as `--write-calibration` wrote it')
            [CompletionResult]::new('--temperature', '--temperature', [CompletionResultType]::ParameterName, 'Sample at this temperature; 0 takes the most likely token')
            [CompletionResult]::new('--top-k', '--top-k', [CompletionResultType]::ParameterName, 'Sample among the most likely tokens only; 0 is all')
            [CompletionResult]::new('--top-p', '--top-p', [CompletionResultType]::ParameterName, 'Sample among the most likely tokens whose probabilities add up to this')
            [CompletionResult]::new('--min-p', '--min-p', [CompletionResultType]::ParameterName, 'Sample among tokens at least this probable relative to the most likely one')
            [CompletionResult]::new('--repetition-penalty', '--repetition-penalty', [CompletionResultType]::ParameterName, 'Divide the logits of tokens in prompt or output by this where they are positive, and multiply the others')
            [CompletionResult]::new('--frequency-penalty', '--frequency-penalty', [CompletionResultType]::ParameterName, 'Take this off the logit of a token for each time it is in the output')
            [CompletionResult]::new('--presence-penalty', '--presence-penalty', [CompletionResultType]::ParameterName, 'Take this off the logit of a token that is in the output')
            [CompletionResult]::new('--stop', '--stop', [CompletionResultType]::ParameterName, 'End an output at this text; may be given several times')
            [CompletionResult]::new('--verification', '--verification', [CompletionResultType]::ParameterName, 'Which draft tokens are kept, where tokens are sampled [default: match]')
            [CompletionResult]::new('--lossy', '--lossy', [CompletionResultType]::ParameterName, 'Keep more draft tokens than the verifier''s distribution allows: the output is no longer the verifier''s')
            [CompletionResult]::new('--seed', '--seed', [CompletionResultType]::ParameterName, 'Choose the noise of sampling, and the order of `--shuffle` [default: 0]')
            [CompletionResult]::new('--max-new-tokens', '--max-new-tokens', [CompletionResultType]::ParameterName, 'Output limit, in tokens [default: 256; 64 in the demonstration]')
            [CompletionResult]::new('--threads', '--threads', [CompletionResultType]::ParameterName, 'Worker threads [default: one per core]')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'The text as it comes, or one report at the end')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colors')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Take options from a file: a YAML mapping of long names to values; what is typed wins over it')
            [CompletionResult]::new('--demo', '--demo', [CompletionResultType]::ParameterName, 'Use the verifier and the head that come with this program; without a prompt, one of their own')
            [CompletionResult]::new('--chat', '--chat', [CompletionResultType]::ParameterName, 'Answer line by line what stdin says, and remember what was said')
            [CompletionResult]::new('--raw', '--raw', [CompletionResultType]::ParameterName, 'Take the prompt as it is, without the verifier''s chat template')
            [CompletionResult]::new('--no-speculation', '--no-speculation', [CompletionResultType]::ParameterName, 'Let the verifier write alone, to compare')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--no-progress', '--no-progress', [CompletionResultType]::ParameterName, 'Draw no progress bars')
            [CompletionResult]::new('--offline', '--offline', [CompletionResultType]::ParameterName, 'Do not ask the Hub; use what its cache holds')
            [CompletionResult]::new('--show-config', '--show-config', [CompletionResultType]::ParameterName, 'Print every option''s value and where it comes from, and run nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'speculators;push' {
            [CompletionResult]::new('--verifier', '--verifier', [CompletionResultType]::ParameterName, 'Verifier to validate it with, a directory or a repository')
            [CompletionResult]::new('--eval', '--eval', [CompletionResultType]::ParameterName, 'Report of `eval --format json` for the card [default: the one that lies beside the checkpoint]')
            [CompletionResult]::new('--revision', '--revision', [CompletionResultType]::ParameterName, 'Branch')
            [CompletionResult]::new('--message', '--message', [CompletionResultType]::ParameterName, 'What the commit says')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Form of the report')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colors')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Take options from a file: a YAML mapping of long names to values; what is typed wins over it')
            [CompletionResult]::new('--private', '--private', [CompletionResultType]::ParameterName, 'Make the repository a private one, if it does not exist yet')
            [CompletionResult]::new('--create-pr', '--create-pr', [CompletionResultType]::ParameterName, 'Open a pull request instead of writing to the branch')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Show the card and the files, and upload nothing')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--no-progress', '--no-progress', [CompletionResultType]::ParameterName, 'Draw no progress bars')
            [CompletionResult]::new('--offline', '--offline', [CompletionResultType]::ParameterName, 'Do not ask the Hub; use what its cache holds')
            [CompletionResult]::new('--show-config', '--show-config', [CompletionResultType]::ParameterName, 'Print every option''s value and where it comes from, and run nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'speculators;doctor' {
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Form of the report')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colors')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Take options from a file: a YAML mapping of long names to values; what is typed wins over it')
            [CompletionResult]::new('--bandwidth', '--bandwidth', [CompletionResultType]::ParameterName, 'Measure the memory''s read bandwidth; takes a second and 1 GiB')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--no-progress', '--no-progress', [CompletionResultType]::ParameterName, 'Draw no progress bars')
            [CompletionResult]::new('--offline', '--offline', [CompletionResultType]::ParameterName, 'Do not ask the Hub; use what its cache holds')
            [CompletionResult]::new('--show-config', '--show-config', [CompletionResultType]::ParameterName, 'Print every option''s value and where it comes from, and run nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'speculators;explain' {
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colors')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Take options from a file: a YAML mapping of long names to values; what is typed wins over it')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--no-progress', '--no-progress', [CompletionResultType]::ParameterName, 'Draw no progress bars')
            [CompletionResult]::new('--offline', '--offline', [CompletionResultType]::ParameterName, 'Do not ask the Hub; use what its cache holds')
            [CompletionResult]::new('--show-config', '--show-config', [CompletionResultType]::ParameterName, 'Print every option''s value and where it comes from, and run nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'speculators;schema' {
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colors')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Take options from a file: a YAML mapping of long names to values; what is typed wins over it')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--no-progress', '--no-progress', [CompletionResultType]::ParameterName, 'Draw no progress bars')
            [CompletionResult]::new('--offline', '--offline', [CompletionResultType]::ParameterName, 'Do not ask the Hub; use what its cache holds')
            [CompletionResult]::new('--show-config', '--show-config', [CompletionResultType]::ParameterName, 'Print every option''s value and where it comes from, and run nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'speculators;completions' {
            [CompletionResult]::new('--write-to', '--write-to', [CompletionResultType]::ParameterName, 'Write the completions of every shell and all man pages into this directory')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colors')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Take options from a file: a YAML mapping of long names to values; what is typed wins over it')
            [CompletionResult]::new('--check', '--check', [CompletionResultType]::ParameterName, 'Write nothing; exit with 1 where a file in that directory is stale or missing')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--no-progress', '--no-progress', [CompletionResultType]::ParameterName, 'Draw no progress bars')
            [CompletionResult]::new('--offline', '--offline', [CompletionResultType]::ParameterName, 'Do not ask the Hub; use what its cache holds')
            [CompletionResult]::new('--show-config', '--show-config', [CompletionResultType]::ParameterName, 'Print every option''s value and where it comes from, and run nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'speculators;help' {
            [CompletionResult]::new('pull', 'pull', [CompletionResultType]::ParameterValue, 'Fetch a verifier or a head from the Hub')
            [CompletionResult]::new('vocab', 'vocab', [CompletionResultType]::ParameterValue, 'Count tokens, and choose the draft vocabulary of a head by them')
            [CompletionResult]::new('init', 'init', [CompletionResultType]::ParameterValue, 'Start a new head for a verifier')
            [CompletionResult]::new('convert', 'convert', [CompletionResultType]::ParameterValue, 'Rewrite a head in the layout that vLLM serves, or in another')
            [CompletionResult]::new('stitch-mtp', 'stitch-mtp', [CompletionResultType]::ParameterValue, 'Put a finetuned MTP head back into its verifier')
            [CompletionResult]::new('validate', 'validate', [CompletionResultType]::ParameterValue, 'Check that a head will load and can accept tokens')
            [CompletionResult]::new('inspect', 'inspect', [CompletionResultType]::ParameterValue, 'Show what is in a checkpoint')
            [CompletionResult]::new('diff', 'diff', [CompletionResultType]::ParameterValue, 'Show what differs between two checkpoints')
            [CompletionResult]::new('eval', 'eval', [CompletionResultType]::ParameterValue, 'Measure acceptance and latency of a head, offline')
            [CompletionResult]::new('probe', 'probe', [CompletionResultType]::ParameterValue, 'Find out by measurement how a head is meant to be read')
            [CompletionResult]::new('generate', 'generate', [CompletionResultType]::ParameterValue, 'Generate text with speculation, as it comes')
            [CompletionResult]::new('push', 'push', [CompletionResultType]::ParameterValue, 'Put a checkpoint on the Hub, with a model card')
            [CompletionResult]::new('doctor', 'doctor', [CompletionResultType]::ParameterValue, 'Show what this machine offers')
            [CompletionResult]::new('explain', 'explain', [CompletionResultType]::ParameterValue, 'Explain a diagnostic code')
            [CompletionResult]::new('schema', 'schema', [CompletionResultType]::ParameterValue, 'Print the JSON schema of a report')
            [CompletionResult]::new('completions', 'completions', [CompletionResultType]::ParameterValue, 'Print shell completions, or write them and the man pages')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'speculators;help;pull' {
            break
        }
        'speculators;help;vocab' {
            break
        }
        'speculators;help;init' {
            break
        }
        'speculators;help;convert' {
            break
        }
        'speculators;help;stitch-mtp' {
            break
        }
        'speculators;help;validate' {
            break
        }
        'speculators;help;inspect' {
            break
        }
        'speculators;help;diff' {
            break
        }
        'speculators;help;eval' {
            break
        }
        'speculators;help;probe' {
            break
        }
        'speculators;help;generate' {
            break
        }
        'speculators;help;push' {
            break
        }
        'speculators;help;doctor' {
            break
        }
        'speculators;help;explain' {
            break
        }
        'speculators;help;schema' {
            break
        }
        'speculators;help;completions' {
            break
        }
        'speculators;help;help' {
            break
        }
    })

    $completions.Where{ $_.CompletionText -like "$wordToComplete*" } |
        Sort-Object -Property ListItemText
}
