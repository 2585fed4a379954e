
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
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--no-progress', '--no-progress', [CompletionResultType]::ParameterName, 'Draw no progress bars')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('convert', 'convert', [CompletionResultType]::ParameterValue, 'Rewrite a head in the layout that vLLM serves, or in another')
            [CompletionResult]::new('stitch-mtp', 'stitch-mtp', [CompletionResultType]::ParameterValue, 'Put a finetuned MTP head back into its verifier')
            [CompletionResult]::new('validate', 'validate', [CompletionResultType]::ParameterValue, 'Check that a head will load and can accept tokens')
            [CompletionResult]::new('inspect', 'inspect', [CompletionResultType]::ParameterValue, 'Show what is in a checkpoint')
            [CompletionResult]::new('diff', 'diff', [CompletionResultType]::ParameterValue, 'Show what differs between two checkpoints')
            [CompletionResult]::new('eval', 'eval', [CompletionResultType]::ParameterValue, 'Measure acceptance and latency of a head, offline')
            [CompletionResult]::new('doctor', 'doctor', [CompletionResultType]::ParameterValue, 'Show what this machine offers')
            [CompletionResult]::new('explain', 'explain', [CompletionResultType]::ParameterValue, 'Explain a diagnostic code')
            [CompletionResult]::new('completions', 'completions', [CompletionResultType]::ParameterValue, 'Print shell completions, or write them and the man pages')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'speculators;convert' {
            [CompletionResult]::new('--verifier', '--verifier', [CompletionResultType]::ParameterName, 'Directory of the verifier; its config is read, its weights are not')
            [CompletionResult]::new('--to', '--to', [CompletionResultType]::ParameterName, 'Layout to write')
            [CompletionResult]::new('--algorithm', '--algorithm', [CompletionResultType]::ParameterName, 'Kind of head; recognized from the tensors where it is left out')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'Where to write the converted checkpoint')
            [CompletionResult]::new('--output-path', '--output-path', [CompletionResultType]::ParameterName, 'Where to write the converted checkpoint')
            [CompletionResult]::new('--algorithm-kwargs', '--algorithm-kwargs', [CompletionResultType]::ParameterName, 'Options as a JSON object, in the spelling of the Python package')
            [CompletionResult]::new('--validate-device', '--validate-device', [CompletionResultType]::ParameterName, 'Accepted for scripts that pass it; the output is always validated, on the CPU')
            [CompletionResult]::new('--verifier-name', '--verifier-name', [CompletionResultType]::ParameterName, 'What the output calls its verifier [default: the path given]')
            [CompletionResult]::new('--num-speculative-tokens', '--num-speculative-tokens', [CompletionResultType]::ParameterName, 'Draft tokens per step that the output asks for [default: 3]')
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
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Form of the report')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colors')
            [CompletionResult]::new('--strict', '--strict', [CompletionResultType]::ParameterName, 'Refuse wherever something would have to be guessed')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Show the plan and write nothing')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Replace the output if it exists')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--no-progress', '--no-progress', [CompletionResultType]::ParameterName, 'Draw no progress bars')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'speculators;stitch-mtp' {
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'Where to write the verifier [default: its name and `-stitched`, here]')
            [CompletionResult]::new('--output-path', '--output-path', [CompletionResultType]::ParameterName, 'Where to write the verifier [default: its name and `-stitched`, here]')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Form of the report')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colors')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Show the plan and write nothing')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Replace the output if it exists')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--no-progress', '--no-progress', [CompletionResultType]::ParameterName, 'Draw no progress bars')
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
            [CompletionResult]::new('--no-scan', '--no-scan', [CompletionResultType]::ParameterName, 'Do not look at the values of the weights')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Replace the file if it exists')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--no-progress', '--no-progress', [CompletionResultType]::ParameterName, 'Draw no progress bars')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'speculators;inspect' {
            [CompletionResult]::new('--verifier', '--verifier', [CompletionResultType]::ParameterName, 'Directory of the verifier of a head; settles what the head leaves to it')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Form of the report')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colors')
            [CompletionResult]::new('--tensors', '--tensors', [CompletionResultType]::ParameterName, 'List the tensors')
            [CompletionResult]::new('--sha256', '--sha256', [CompletionResultType]::ParameterName, 'Sum up the weight files, as the Hub does')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--no-progress', '--no-progress', [CompletionResultType]::ParameterName, 'Draw no progress bars')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'speculators;diff' {
            [CompletionResult]::new('--verifier', '--verifier', [CompletionResultType]::ParameterName, 'Directory of the verifier of both; settles what a head leaves to it, and knows its own tensors in a head')
            [CompletionResult]::new('--tolerance', '--tolerance', [CompletionResultType]::ParameterName, 'Take tensors for equal whose difference has at most this share of their norm, in whatever dtype [default: only equal bytes]')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Form of the report')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colors')
            [CompletionResult]::new('--config-only', '--config-only', [CompletionResultType]::ParameterName, 'Compare descriptions and configs, not the weights')
            [CompletionResult]::new('--weights-only', '--weights-only', [CompletionResultType]::ParameterName, 'Compare the weights, not the configs')
            [CompletionResult]::new('--tensors', '--tensors', [CompletionResultType]::ParameterName, 'List all tensors and all config keys, also those that are equal')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--no-progress', '--no-progress', [CompletionResultType]::ParameterName, 'Draw no progress bars')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'speculators;eval' {
            [CompletionResult]::new('--verifier', '--verifier', [CompletionResultType]::ParameterName, 'Directory of the verifier: config, safetensors, tokenizer')
            [CompletionResult]::new('--speculator', '--speculator', [CompletionResultType]::ParameterName, 'Directory of the head, in any layout that `inspect` recognizes')
            [CompletionResult]::new('--prompts', '--prompts', [CompletionResultType]::ParameterName, 'Prompts, one JSON object a line')
            [CompletionResult]::new('--num-speculative-tokens', '--num-speculative-tokens', [CompletionResultType]::ParameterName, 'Draft tokens per step [default: what the checkpoint asks for]')
            [CompletionResult]::new('--max-new-tokens', '--max-new-tokens', [CompletionResultType]::ParameterName, 'Output limit per request, in tokens [default: 256; 64 in the demonstration]')
            [CompletionResult]::new('--limit', '--limit', [CompletionResultType]::ParameterName, 'Take only the first prompts')
            [CompletionResult]::new('--threads', '--threads', [CompletionResultType]::ParameterName, 'Worker threads [default: one per core]')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Form of the report')
            [CompletionResult]::new('--outputs', '--outputs', [CompletionResultType]::ParameterName, 'Write ids, text and accepted tokens per step of each request')
            [CompletionResult]::new('--compare', '--compare', [CompletionResultType]::ParameterName, 'Compare with another engine''s outputs (`id`, `output_token_ids` a line) and show where logits tie')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colors')
            [CompletionResult]::new('--demo', '--demo', [CompletionResultType]::ParameterName, 'Evaluate the head that comes with this program; nothing else is needed')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Replace the outputs file if it exists')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--no-progress', '--no-progress', [CompletionResultType]::ParameterName, 'Draw no progress bars')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'speculators;doctor' {
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Form of the report')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colors')
            [CompletionResult]::new('--bandwidth', '--bandwidth', [CompletionResultType]::ParameterName, 'Measure the memory''s read bandwidth; takes a second and 1 GiB')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--no-progress', '--no-progress', [CompletionResultType]::ParameterName, 'Draw no progress bars')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'speculators;explain' {
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colors')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--no-progress', '--no-progress', [CompletionResultType]::ParameterName, 'Draw no progress bars')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'speculators;completions' {
            [CompletionResult]::new('--write-to', '--write-to', [CompletionResultType]::ParameterName, 'Write the completions of every shell and all man pages into this directory')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colors')
            [CompletionResult]::new('--check', '--check', [CompletionResultType]::ParameterName, 'Write nothing; exit with 1 where a file in that directory is stale or missing')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less; twice silences warnings too')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more')
            [CompletionResult]::new('--no-progress', '--no-progress', [CompletionResultType]::ParameterName, 'Draw no progress bars')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'speculators;help' {
            [CompletionResult]::new('convert', 'convert', [CompletionResultType]::ParameterValue, 'Rewrite a head in the layout that vLLM serves, or in another')
            [CompletionResult]::new('stitch-mtp', 'stitch-mtp', [CompletionResultType]::ParameterValue, 'Put a finetuned MTP head back into its verifier')
            [CompletionResult]::new('validate', 'validate', [CompletionResultType]::ParameterValue, 'Check that a head will load and can accept tokens')
            [CompletionResult]::new('inspect', 'inspect', [CompletionResultType]::ParameterValue, 'Show what is in a checkpoint')
            [CompletionResult]::new('diff', 'diff', [CompletionResultType]::ParameterValue, 'Show what differs between two checkpoints')
            [CompletionResult]::new('eval', 'eval', [CompletionResultType]::ParameterValue, 'Measure acceptance and latency of a head, offline')
            [CompletionResult]::new('doctor', 'doctor', [CompletionResultType]::ParameterValue, 'Show what this machine offers')
            [CompletionResult]::new('explain', 'explain', [CompletionResultType]::ParameterValue, 'Explain a diagnostic code')
            [CompletionResult]::new('completions', 'completions', [CompletionResultType]::ParameterValue, 'Print shell completions, or write them and the man pages')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
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
        'speculators;help;doctor' {
            break
        }
        'speculators;help;explain' {
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
